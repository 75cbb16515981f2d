/*
 * Vector code of today's processors in four processes at once: every checksum depends on registers that
 * stay in place across system calls and preemption. With the argument "sha" the SHA extensions too.
 * As process 1 it then tells of the machine it is in and powers it off.
 *
 *     gcc -O2 -static -mavx2 -mfma -mf16c -maes -mpclmul -msha -mbmi -mbmi2 -mlzcnt -mpopcnt
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <immintrin.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 4
#define ROUNDS 60

static uint64_t sum, state;

static uint64_t next(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return state ^ state >> 29;
}

static void add(const void *p, size_t n) {
  const unsigned char *b = p;
  for (size_t i = 0; i < n; i++) sum = (sum ^ b[i]) * 0x100000001b3u;
}

static void add256(__m256i v) { add(&v, sizeof v); }

/* Sixteen registers hold their values over a spin and a system call. */
static void hold(void) {
  __m256i in[16], out[16];
  for (int i = 0; i < 64; i++) ((uint64_t *)in)[i] = next();
  uint64_t spins = 20000 + next() % 20000;
  __asm__ volatile(
      "vmovdqu 0(%[in]), %%ymm0\n vmovdqu 32(%[in]), %%ymm1\n"
      "vmovdqu 64(%[in]), %%ymm2\n vmovdqu 96(%[in]), %%ymm3\n"
      "vmovdqu 128(%[in]), %%ymm4\n vmovdqu 160(%[in]), %%ymm5\n"
      "vmovdqu 192(%[in]), %%ymm6\n vmovdqu 224(%[in]), %%ymm7\n"
      "vmovdqu 256(%[in]), %%ymm8\n vmovdqu 288(%[in]), %%ymm9\n"
      "vmovdqu 320(%[in]), %%ymm10\n vmovdqu 352(%[in]), %%ymm11\n"
      "vmovdqu 384(%[in]), %%ymm12\n vmovdqu 416(%[in]), %%ymm13\n"
      "vmovdqu 448(%[in]), %%ymm14\n vmovdqu 480(%[in]), %%ymm15\n"
      "1: vpaddq %%ymm1, %%ymm0, %%ymm0\n vpxor %%ymm15, %%ymm14, %%ymm14\n"
      "dec %[n]\n jnz 1b\n"
      "mov $24, %%eax\n syscall\n" /* sched_yield */
      "vpaddq %%ymm1, %%ymm0, %%ymm0\n"
      "vmovdqu %%ymm0, 0(%[out])\n vmovdqu %%ymm1, 32(%[out])\n"
      "vmovdqu %%ymm2, 64(%[out])\n vmovdqu %%ymm3, 96(%[out])\n"
      "vmovdqu %%ymm4, 128(%[out])\n vmovdqu %%ymm5, 160(%[out])\n"
      "vmovdqu %%ymm6, 192(%[out])\n vmovdqu %%ymm7, 224(%[out])\n"
      "vmovdqu %%ymm8, 256(%[out])\n vmovdqu %%ymm9, 288(%[out])\n"
      "vmovdqu %%ymm10, 320(%[out])\n vmovdqu %%ymm11, 352(%[out])\n"
      "vmovdqu %%ymm12, 384(%[out])\n vmovdqu %%ymm13, 416(%[out])\n"
      "vmovdqu %%ymm14, 448(%[out])\n vmovdqu %%ymm15, 480(%[out])\n"
      : [n] "+r"(spins)
      : [in] "r"(in), [out] "r"(out)
      : "rax", "rcx", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
        "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  add(out, sizeof out);
}

static __m256i random256(void) {
  return _mm256_set_epi64x(next(), next(), next(), next());
}

/* Normal doubles of moderate size. */
static __m256d reals(void) {
  double d[4];
  for (int i = 0; i < 4; i++) d[i] = (double)(int64_t)next() / (double)(1 << (next() % 30));
  return _mm256_loadu_pd(d);
}

static void integers(void) {
  __m256i a = random256(), b = random256();
  add256(_mm256_shuffle_epi8(a, b));
  add256(_mm256_permutevar8x32_epi32(a, b));
  add256(_mm256_maddubs_epi16(a, b));
  add256(_mm256_mpsadbw_epu8(a, b, 0x15));
  add256(_mm256_sllv_epi32(a, _mm256_and_si256(b, _mm256_set1_epi32(63))));
  add256(_mm256_blendv_epi8(a, b, _mm256_cmpgt_epi8(a, b)));
  add256(_mm256_mul_epi32(a, b));
  add256(_mm256_alignr_epi8(a, b, 5));
  int table[64];
  for (int i = 0; i < 64; i++) table[i] = (int)next();
  add256(_mm256_i32gather_epi32(table, _mm256_and_si256(a, _mm256_set1_epi32(63)), 4));
  uint32_t m = (uint32_t)_mm256_movemask_epi8(a);
  add(&m, sizeof m);
}

static void floats(int rounding) {
  _MM_SET_ROUNDING_MODE(rounding);
  __m256d a = reals(), b = reals(), c = reals();
  __m256d r[] = {
      _mm256_fmadd_pd(a, b, c), _mm256_fnmsub_pd(a, b, c), _mm256_fmaddsub_pd(a, b, c),
      _mm256_div_pd(a, b),      _mm256_sqrt_pd(_mm256_mul_pd(a, a)), _mm256_hadd_pd(a, b),
      _mm256_round_pd(a, _MM_FROUND_TO_NEAREST_INT), _mm256_cmp_pd(a, b, _CMP_LT_OQ),
  };
  add(r, sizeof r);
  __m128 half = _mm256_cvtpd_ps(_mm256_div_pd(a, _mm256_set1_pd(1e15)));
  __m128i h = _mm_cvtps_ph(half, _MM_FROUND_CUR_DIRECTION);
  __m256 back = _mm256_cvtph_ps(_mm_add_epi16(h, _mm_set1_epi16(1)));
  add(&h, sizeof h);
  add(&back, sizeof back);
  unsigned flags = _mm_getcsr();
  add(&flags, sizeof flags);
  _mm_setcsr(0x1f80);
}

static void ciphers(void) {
  __m128i a = _mm256_castsi256_si128(random256()), b = _mm256_castsi256_si128(random256());
  for (int i = 0; i < 9; i++) a = _mm_aesenc_si128(a, b);
  a = _mm_aesenclast_si128(a, b);
  __m128i d = _mm_aesdeclast_si128(_mm_aesdec_si128(a, _mm_aesimc_si128(b)), b);
  __m128i k = _mm_aeskeygenassist_si128(a, 0x1b), p = _mm_clmulepi64_si128(a, b, 0x10);
  __m128i all[] = {a, d, k, p};
  add(all, sizeof all);
}

static void hashes(void) {
  __m128i a = _mm256_castsi256_si128(random256()), b = _mm256_castsi256_si128(random256());
  __m128i k = _mm256_castsi256_si128(random256());
  __m128i all[] = {
      _mm_sha1rnds4_epu32(a, b, 2), _mm_sha1nexte_epu32(a, b), _mm_sha1msg1_epu32(a, b),
      _mm_sha1msg2_epu32(a, b),     _mm_sha256rnds2_epu32(a, b, k),
      _mm_sha256msg1_epu32(a, b),   _mm_sha256msg2_epu32(a, b),
  };
  add(all, sizeof all);
}

static void bits(void) {
  uint64_t a = next(), b = next(), r[] = {
      _pdep_u64(a, b), _pext_u64(a, b), _bzhi_u64(a, b & 127), _andn_u64(a, b), __bextr_u64(a, b),
      _blsr_u64(a),    _blsi_u64(a),    _blsmsk_u64(a),        _lzcnt_u64(a),   _tzcnt_u64(b),
      _mm_popcnt_u64(a),
  };
  add(r, sizeof r);
}

static void work(int n, int sha) {
  state = 0x9e3779b97f4a7c15u * (n + 1);
  sum = 0xcbf29ce484222325u;
  for (int i = 0; i < ROUNDS; i++) {
    hold();
    integers();
    floats((i & 3) << 13);
    ciphers();
    bits();
    if (sha) hashes();
    sched_yield();
  }
}

static void show(const char *label, const char *path, const char *start) {
  static char line[8192];
  FILE *f = fopen(path, "r");
  while (f != NULL && fgets(line, sizeof line, f) != NULL) {
    if (strncmp(line, start, strlen(start)) != 0) continue;
    printf("%s %s", label, line);
    break;
  }
  if (f != NULL) fclose(f);
}

static void tell(void) {
  static char log[1 << 18];
  mkdir("/proc", 0755);
  mkdir("/sys", 0755);
  mount("proc", "/proc", "proc", 0, "");
  mount("sysfs", "/sys", "sysfs", 0, "");
  show("FLAGS", "/proc/cpuinfo", "flags");
  show("CLOCKSOURCE", "/sys/devices/system/clocksource/clocksource0/current_clocksource", "");
  int n = klogctl(3, log, sizeof log - 1);
  for (char *l = strtok(log, "\n"); n > 0 && l != NULL; l = strtok(NULL, "\n")) {
    if (strstr(l, "kvm-clock") || strstr(l, "Hypervisor")) printf("DMESG %s\n", l);
  }
}

int main(int argc, char **argv) {
  int sha = argc > 1 && strcmp(argv[1], "sha") == 0, ends[PROCESSES][2];
  if (getpid() == 1) {
    mkdir("/dev", 0755);
    mount("dev", "/dev", "devtmpfs", 0, "");
    for (int fd = 0; fd < 3; fd++) dup2(open("/dev/console", O_RDWR), fd);
  }
  for (int n = 0; n < PROCESSES; n++) {
    if (pipe(ends[n]) != 0) return 1;
    if (fork() == 0) {
      work(n, sha);
      _exit(write(ends[n][1], &sum, sizeof sum) != sizeof sum);
    }
  }
  for (int n = 0; n < PROCESSES; n++) {
    uint64_t s = 0;
    close(ends[n][1]);
    if (read(ends[n][0], &s, sizeof s) != sizeof s) puts("a process has died");
    printf("SUM %d %016llx\n", n, (unsigned long long)s);
  }
  while (wait(NULL) > 0) {}
  if (getpid() == 1) {
    tell();
    puts("END");
    fflush(stdout);
    reboot(RB_POWER_OFF);
  }
  return 0;
}

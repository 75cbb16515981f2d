/* Multiboot 1 entry: flat 32-bit protected mode. Turns the FPU and SSE on and calls main(). */
        .set    FLAGS, 0x00000003       /* page-aligned modules, memory map */
        .section .multiboot, "a"
        .align  4
        .long   0x1badb002, FLAGS, -(0x1badb002 + FLAGS)

        .text
        .globl  _start
_start: cli
        cld
        movl    $stack_top, %esp
        movl    %cr0, %eax
        andl    $~0x0000000c, %eax      /* EM, TS */
        orl     $0x00000022, %eax       /* MP, NE */
        movl    %eax, %cr0
        movl    %cr4, %eax
        orl     $0x00000600, %eax       /* OSFXSR, OSXMMEXCPT */
        movl    %eax, %cr4
        fninit
        call    main
1:      cli
        hlt
        jmp     1b

        .bss
        .align  16
        .skip   65536
stack_top:
        .section .note.GNU-stack, "", @progbits

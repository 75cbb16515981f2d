#!/bin/sh
# qeno, a PC emulator, with the Deno it runs on, in one file. What follows this text is a compressed
# archive; it is unpacked once into the user's cache directory. Needs sh, tail, gzip and tar.
name=@NAME@
offset=@OFFSET@
base="${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}"
cache="${base:-${TMPDIR:-/tmp}}/qeno"
if ! mkdir -p -m 700 "$cache" 2>/dev/null || ! [ -w "$cache" ]; then
  cache="${TMPDIR:-/tmp}/qeno-$(id -u)"
  mkdir -p -m 700 "$cache" || exit 1
fi
dir="$cache/$name"
if ! [ -x "$dir/deno" ]; then
  new="$cache/.new-$name-$$"
  trap 'rm -rf "$new"' EXIT
  trap 'exit 1' HUP INT TERM
  mkdir -m 700 "$new" || exit 1
  if ! tail -c "+$offset" "$0" | gzip -dc | tar -xf - -C "$new" || ! [ -x "$new/deno" ]; then
    echo "$0: cannot unpack into $cache" >&2
    exit 1
  fi
  # Renaming is atomic; when another process was first, its copy is as good.
  mv "$new" "$dir" 2>/dev/null
  rm -rf "$new" "$dir/${new##*/}"
  trap - EXIT HUP INT TERM
fi
QENO_ARGV0="$0" DENO_DIR="$dir/cache" DENO_NO_UPDATE_CHECK=1 \
  exec "$dir/deno" run -A --no-lock "$dir/main.ts" "$@"

#!/bin/sh
# Builds the guests from src/ into elf/.
#   build.sh          rebuilds elf/*.elf, boot/*.elf and workload/*.elf
#   build.sh --check  rebuilds elsewhere and compares with the committed files, byte for byte; skips, and says so, when
#                     the compiler that made them is not here
# The bytes depend on the compiler and the linker, and on nothing else: no paths, dates or build ids go in.
set -eu
export LC_ALL=C # the order of src/lib/*
cd "$(dirname "$0")"

# The compiler and linker of the committed files, Debian 12's.
GCC_BUILT_WITH='12.2.0 for x86_64-linux-gnu'
LD_BUILT_WITH=2.40
CC=${CC:-gcc}

CFLAGS="-std=gnu11 -O2 -Wall -Wextra -Werror
  -ffreestanding -fno-pic -fno-pie -fno-ident -fno-stack-protector -fno-asynchronous-unwind-tables
  -fno-toplevel-reorder -ffunction-sections -fdata-sections -fcf-protection=none
  -m64 -march=x86-64 -mtune=generic -mno-red-zone -mno-sse -mgeneral-regs-only"
LDFLAGS="-static -no-pie -nostdlib -Wl,-T,src/lib/tmk.ld
  -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096"

# The shape of openvmm's toolchain (Rust's x86_64-unknown-none): a static PIE linked at 0, without a link map of its own.
PIE_CFLAGS="$(echo "$CFLAGS" | sed 's/-fno-pic -fno-pie/-fpie/') -fvisibility=hidden"
PIE_LDFLAGS="-static-pie -nostdlib -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 -Wl,-z,norelro"

fail() {
  echo "build.sh: $1" >&2
  exit 1
}

# The order of a guest's files is the order of its tests.
apic_files='record modes priorities'
basics_files='boot faults apic expected_failure'
deadlines_files='deadlines ticks'
hostile_files='hostile commands endless storms interrupts paging code registers calls strings'
long_files='long'
pie_files='relocate pie'
smp_files='smp start ipis messages ticks'
synic_files='messages registers'
timers_files='apic_timer reference_time stimer_oneshot stimer_periodic stimer_rearm stimer_four'
multiboot_files='kernel faults user sse code devices timers lines processors'
vsm_files='vsm calls timers vina messages'
workload_files='phases workload'

# Zeroes every word of $1 that a relocation fills. GNU ld leaves the addend there too; Rust's lld, which openvmm's guests
# come from, leaves zeros, and a loader must not be spoilt. All such words lie in the one writable segment.
clear_relocated_words() {
  segment=$(readelf -lW "$1" | awk '$1 == "LOAD" && $7 == "RW" { print $2, $3 }')
  for address in $(readelf -rW "$1" | awk '$3 == "R_X86_64_RELATIVE" { print $1 }'); do
    offset=$((0x$address - ${segment#* } + ${segment% *}))
    dd if=/dev/zero of="$1" bs=1 seek="$offset" count=8 conv=notrunc status=none
  done
}

# Compiles the library and the files of guest $1, and links them as $2.
build_guest() {
  case $1 in
    apic) files=$apic_files ;;
    basics) files=$basics_files ;;
    deadlines) files=$deadlines_files ;;
    hostile) files=$hostile_files ;;
    long) files=$long_files ;;
    pie) files=$pie_files ;;
    smp) files=$smp_files ;;
    synic) files=$synic_files ;;
    timers) files=$timers_files ;;
    multiboot) files=$multiboot_files ;;
    vsm) files=$vsm_files ;;
  esac
  sources=
  for file in $files; do
    sources="$sources src/$1/$file.c"
  done
  compile_flags=$CFLAGS
  link_flags=$LDFLAGS
  library=$(echo src/lib/*.S src/lib/*.c)
  if [ "$1" = pie ]; then
    compile_flags=$PIE_CFLAGS
    link_flags=$PIE_LDFLAGS
    library=src/pie/start.S
  fi
  # A kernel that is no test microkernel: its own start and speech, the rest of the library.
  if [ "$1" = multiboot ]; then
    link_flags=$(echo "$LDFLAGS" | sed 's#src/lib/tmk.ld#src/multiboot/multiboot.ld#')
    library="src/multiboot/start.S $(echo src/lib/*.S src/lib/*.c | sed -e 's#src/lib/start.S##' -e 's#src/lib/tmk.c##')"
  fi
  objects=
  for source in $library $sources; do
    object="$work/$1-$(echo "$source" | tr '/' '-').o"
    # shellcheck disable=SC2086 # the flags are words
    "$CC" $compile_flags -c "$source" -o "$object"
    objects="$objects $object"
  done
  # shellcheck disable=SC2086
  "$CC" $compile_flags $link_flags $objects -o "$2"
  [ "$1" != pie ] || clear_relocated_words "$2"
}

# Compiles the workload's phases with what they need on a platform, and links them as $2:
#   multiboot64  a Multiboot kernel of 64-bit code, in the ELF32 file that loaders want
#   multiboot32  the same of 32-bit code
#   linux        a program for Linux
build_workload() {
  compile_flags="$CFLAGS -fno-tree-loop-distribute-patterns" # no library: no memset
  link_flags=$(echo "$LDFLAGS" | sed 's#src/lib/tmk.ld#src/multiboot/multiboot.ld#')
  sources="$(echo " $workload_files" | sed 's# \([a-z]*\)# src/workload/\1.c#g')"
  case $1 in
    multiboot64) sources="src/multiboot/start.S $(echo src/lib/*.S src/lib/*.c | sed -e 's#src/lib/start.S##' -e 's#src/lib/tmk.c##') src/workload/kernel.c src/workload/ticks.c $sources" ;;
    multiboot32)
      compile_flags="$(echo "$compile_flags" | sed 's/-m64 -march=x86-64/-m32 -march=i686/')"
      link_flags="$link_flags -m32 -Wl,--oformat=elf32-i386"
      sources="src/workload/start32.S src/workload/kernel.c $sources"
      ;;
    linux)
      link_flags=$(echo "$LDFLAGS" | sed 's#-Wl,-T,src/lib/tmk.ld##')
      sources="src/workload/linux.c $sources"
      ;;
  esac
  objects=
  for source in $sources; do
    object="$work/$1-$(echo "$source" | tr '/' '-').o"
    # shellcheck disable=SC2086 # the flags are words
    "$CC" $compile_flags -c "$source" -o "$object"
    objects="$objects $object"
  done
  # shellcheck disable=SC2086
  "$CC" $compile_flags $link_flags $objects -o "$2"
  [ "$1" != multiboot64 ] || objcopy -O elf32-i386 "$2"
  strip "$2"
}

check=no
case "${1:-}" in
  '') ;;
  --check) check=yes ;;
  *) fail "unknown option $1; usage: build.sh [--check]" ;;
esac

if command -v "$CC" >/dev/null; then
  gcc_found="$("$CC" -dumpfullversion) for $("$CC" -dumpmachine)"
else
  gcc_found=none
fi
ld_found=$(ld --version 2>/dev/null | sed -n '1s/.* \([0-9.]*\)$/\1/p')
if [ "$gcc_found" != "$GCC_BUILT_WITH" ] || [ "$ld_found" != "$LD_BUILT_WITH" ]; then
  here="the committed guests are of gcc $GCC_BUILT_WITH and ld $LD_BUILT_WITH; here are gcc $gcc_found and ld ${ld_found:-none}"
  if [ "$check" = yes ]; then
    echo "build.sh: check skipped: $here"
    exit 0
  fi
  [ "$gcc_found" != none ] || fail "no compiler: $here"
  echo "build.sh: $here: the bytes will differ" >&2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Keeps or checks what was built at $1 as $2.
finish() {
  if [ "$check" = yes ]; then
    cmp "$1" "$2" || fail "$2 is not what src/ builds; run build.sh"
    echo "build.sh: $2 is what src/ builds"
  else
    cat "$1" >"$2"
  fi
}

for guest in apic basics deadlines hostile long pie smp synic timers vsm multiboot; do
  folder=elf
  [ "$guest" != multiboot ] || folder=boot
  build_guest "$guest" "$work/$guest.elf"
  finish "$work/$guest.elf" "$folder/$guest.elf"
done
for platform in multiboot64 multiboot32 linux; do
  build_workload $platform "$work/$platform.elf"
  finish "$work/$platform.elf" "workload/$platform.elf"
done

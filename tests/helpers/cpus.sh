#!/usr/bin/env bash
# Run a test command as on other processors, on one core, with many threads and without Numba, one after the other:
#   bash tests/helpers/cpus.sh python -m pytest tests
# PyTorch, MKL, oneDNN and Numba choose their code by the processor; these variables let them choose that of another.
set -uo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/no-numba"
echo 'raise ImportError("kept out by tests/helpers/cpus.sh")' > "$scratch/no-numba/numba.py"

command=("$@")
failed=()
under() {
    printf '\n=== %s\n' "$*"
    env "$@" "${command[@]}" || failed+=("$*")
}

under ATEN_CPU_CAPABILITY=default
under ATEN_CPU_CAPABILITY=avx2
under MKL_CBWR=COMPATIBLE
under ONEDNN_MAX_CPU_ISA=AVX2
# With a cache of its own: Numba's is keyed by the processor, but two processes that fill it at once may mix theirs.
under NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR="$scratch/numba-cache"
under PYTHONPATH="$scratch/no-numba${PYTHONPATH:+:$PYTHONPATH}"
if command -v taskset > /dev/null; then
    under taskset -c "$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')"
fi
under OMP_NUM_THREADS=8

if ((${#failed[@]})); then
    printf '\n=== FAILED under: %s\n' "${failed[@]}"
    exit 1
fi
printf '\n=== passed under all\n'

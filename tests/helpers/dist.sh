#!/usr/bin/env bash
# Builds the source archive, and from it the wheel, into dist/, with README as PyPI can show it; checks both as PyPI does;
# installs and tries each.
# Each is installed into a new environment, in which nothing of the repository is to be found: it sees only the
# dependencies, in the environment of the Python that is given. `make dist` calls this.
set -euo pipefail
python=$1
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

rm -rf dist
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$python" -m build --quiet --sdist --outdir "$scratch/source"
tar -xzf "$scratch"/source/*.tar.gz -C "$scratch/source"
"$python" tests/helpers/pypi_page.py "$scratch"/source/*/
"$python" -m build --quiet --outdir dist "$scratch"/source/*/
"$python" -m twine check --strict dist/*
if tar -tzf dist/*.tar.gz | grep /tests/; then
    echo 'error: tests in the source archive: see MANIFEST.in' >&2
    exit 1
fi

dependencies=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
unset PYTHONPATH
for archive in "$PWD"/dist/*; do
    printf '\n%s\n' "$(basename "$archive")"
    venv=$scratch/$(basename "$archive")
    "$python" -m venv --without-pip "$venv"
    "$python" -m pip --python "$venv" install --quiet --disable-pip-version-check --no-deps "$archive"
    # One line of a .pth file adds a folder, but not what the folder's own .pth files add, such as an editable install.
    echo "$dependencies" >"$(echo "$venv"/lib/python*/site-packages)/dependencies.pth"
    (
        cd "$scratch"
        export PATH="$venv/bin:$PATH"
        python -m pip check
        python -c "import continual_ple, dqn_mer, sys
assert all(package.__file__.startswith(sys.prefix) for package in (continual_ple, dqn_mer))"
        python -c "import gymnasium; print(gymnasium.make('continual_ple:ContinualPLE/Catcher-v0').reset()[0].shape)"
        dqn-mer --version
        dqn-mer train --observation state --frames 500 --warmup-frames 100 --eval-episodes 1 --eval-frame-limit 100 \
            --run-dir "$venv-run"
    )
done

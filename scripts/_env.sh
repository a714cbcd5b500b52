# Shared by .ci/run and the commands in scripts/, which source it. Defines:
#   repo                                  the checkout's directory
#   die MESSAGE...                        print an error and end
#   find_python [3.12 | COMMAND | PATH]   set python to an interpreter that can be used
#   make_venv NAME EXTRAS [CONSTRAINTS]   set venv_python to one that has this package, editable

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
oldest_minor=10

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# True if "$1" runs (a shim of a version manager may exist and not run) and is new enough.
_is_usable_python() {
    "$1" -c "import sys; sys.exit(sys.version_info < (3, $oldest_minor))" 2>/dev/null
}

find_python() {
    local wanted=${1:-} pyenv=${PYENV_ROOT:-$HOME/.pyenv}/versions candidates candidate
    case $wanted in
        "") candidates=(python3 python3.13 python3.12 python3.11 python3.10 python) ;;
        [0-9]*) candidates=("python$wanted" "$pyenv/$wanted"/bin/python "$pyenv/$wanted".*/bin/python) ;;
        *) candidates=("$wanted") ;;
    esac
    for candidate in "${candidates[@]}"; do
        if _is_usable_python "$candidate"; then
            python=$candidate
            return
        fi
    done
    die "no usable Python: it must be 3.$oldest_minor or newer; looked for: ${candidates[*]}." \
        "Install one, or name one with --python 3.12 or --python /path/to/python3."
}

_have_venv_modules() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return
    die "$python lacks the modules venv and ensurepip, which its environment is made with." \
        "On Debian and Ubuntu: sudo apt-get install python3-venv; or name another Python" \
        "with --python."
}

# All that an environment is made from: a stamp that differs means: make it again.
_venv_stamp() {
    printf '%s\n' "$repo" "$@"
    "$python" -c 'import sys; print(sys.base_prefix, sys.version)'
    cksum "$repo/setup.cfg" "$repo/setup.py" "$repo/pyproject.toml" "$repo/localtune/_version.py" \
        "$repo/tests/constraints-lowest.txt"
}

_fill_venv() {
    local directory=$1 extras=$2 constraints=$3
    if [ "$(cat "$directory/stamp" 2>/dev/null)" = "$(_venv_stamp "$extras" "$constraints")" ]; then
        return
    fi
    _have_venv_modules
    printf 'Making %s ...\n' "$directory" >&2
    rm -rf "$directory"
    "$python" -m venv "$directory" || die "$python could not make the environment $directory."
    set -- --editable "$repo[$extras]"
    [ -z "$constraints" ] || set -- "$@" --constraint "$constraints"
    "$directory/bin/python" "$repo/scripts/_install.py" "$@" ||
        die "neither uv nor pip could install localtune-runner[$extras] into $directory (its reason stands above)."
    _venv_stamp "$extras" "$constraints" >"$directory/stamp"
}

make_venv() {
    local extras=$2 constraints=${3:-} version directory
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    directory=$repo/.venvs/$1-$version
    mkdir -p "$repo/.venvs"
    # Of two runs at the same time, the second waits and finds the environment made.
    (
        if command -v flock >/dev/null; then flock 9; fi
        _fill_venv "$directory" "$extras" "$constraints"
    ) 9>"$directory.lock"
    venv_python=$directory/bin/python
}

# Sourced by the scripts: where we are, and what a fresh machine lacks.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export PATH="$HOME/.cargo/bin:$PATH"
target="${CARGO_TARGET_DIR:-$here/target}"
bin="$target/release"
export BREAKWATER_ROOT="${BREAKWATER_ROOT:-$here/.region}"

say() { printf '%s\n' "$*" >&2; }

# Prints the comment at the top of the script as its help.
help_if_asked() {
  for word in "$@"; do
    case "$word" in
      -h | --help)
        sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"
        exit 0
        ;;
    esac
  done
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Installs Debian packages that are missing.
need_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  command -v apt-get >/dev/null || { say "please install: ${missing[*]}"; exit 1; }
  say "installing ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
}

# Compiler, linker and Rust.
need_rust() {
  need_packages gcc libc6-dev curl ca-certificates
  if ! command -v cargo >/dev/null; then
    say "installing Rust"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --default-toolchain none >/dev/null
  fi
}

build() {
  need_rust
  [ -d "$bin" ] || say "building; this first time it takes about ten minutes on two cores"
  (cd "$here" && cargo build --release "$@")
}

nodes() { printf -- '--package=%s ' breakwater-launcher breakwater-agent breakwater-edge breakwater-control breakwater-dynamo; }

# A virtual environment with the official Python clients.
need_python_clients() {
  venv="$here/.venv"
  if [ ! -x "$venv/bin/pytest" ] || [ "$here/tests/clients/requirements.txt" -nt "$venv/done" ]; then
    need_packages python3 python3-venv
    say "installing boto3, the aws CLI and pytest into .venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r "$here/tests/clients/requirements.txt"
    touch "$venv/done"
  fi
}

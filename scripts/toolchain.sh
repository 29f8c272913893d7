# Sourced by the scripts beside it: brings what they need, and says so. Nothing happens when all of it is there.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PATH=$root/node_modules/.bin:$PATH

step() { printf '\033[1m▸ %s\033[0m\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else fail "this needs root: $*"
  fi
}

# npm packages, the Node that runs everything among them; again only when the lockfile is newer.
need_packages() {
  local stamp=$root/node_modules/.wasmatrix-installed
  [ "$stamp" -nt "$root/package-lock.json" ] && [ -x "$root/node_modules/.bin/node" ] && return
  if [ ! -e "$stamp" ] && [ "$root/node_modules/.package-lock.json" -nt "$root/package-lock.json" ]; then
    touch "$stamp"
    return
  fi
  command -v npm >/dev/null || fail "npm is missing: install Node (Debian: apt-get install nodejs npm)"
  step "installing npm packages"
  # Not `npm ci`: it wants every optional platform package in the lockfile, also those that a registry does not have.
  (cd "$root" && npm install --no-audit --no-fund --loglevel=error)
  touch "$stamp"
}

# A command, and the Debian package that brings it; a service that the package would start is not started.
need_command() {
  local command=$1 package=$2
  command -v "$command" >/dev/null && return
  step "installing $package"
  command -v apt-get >/dev/null || fail "$command is missing: install it and put it on the PATH"
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  as_root apt-get install -y --no-install-recommends "$package" >/dev/null 2>&1 && return
  # A fresh machine has no package lists yet.
  as_root apt-get update -qq
  as_root apt-get install -y --no-install-recommends "$package" >/dev/null
}

need_nats_server() { need_command nats-server nats-server; }

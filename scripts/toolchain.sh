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

# etcd is a directory that a lattice may be given; only the tests need it here.
need_etcd() {
  command -v etcd >/dev/null && return
  step "installing etcd"
  command -v apt-get >/dev/null || fail "etcd is missing: see https://etcd.io/docs/latest/install"
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get install -y --no-install-recommends etcd-server >/dev/null 2>&1 || {
    as_root apt-get update -qq
    as_root apt-get install -y --no-install-recommends etcd-server >/dev/null
  }
  # The package starts a service, which nobody asked for.
  as_root systemctl disable --now etcd >/dev/null 2>&1 || true
}

# A registry of the OCI distribution specification; only the tests need it here.
need_docker_registry() {
  command -v docker-registry >/dev/null && return
  step "installing docker-registry"
  command -v apt-get >/dev/null || fail "docker-registry is missing: see https://distribution.github.io/distribution"
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get install -y --no-install-recommends docker-registry >/dev/null 2>&1 || {
    as_root apt-get update -qq
    as_root apt-get install -y --no-install-recommends docker-registry >/dev/null
  }
  as_root systemctl disable --now docker-registry >/dev/null 2>&1 || true
}

need_nats_server() {
  command -v nats-server >/dev/null && return
  step "installing nats-server"
  command -v apt-get >/dev/null || fail "nats-server is missing: see https://nats.io/download"
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get install -y --no-install-recommends nats-server >/dev/null 2>&1 && return
  # A fresh machine has no package lists yet.
  as_root apt-get update -qq
  as_root apt-get install -y --no-install-recommends nats-server >/dev/null
}

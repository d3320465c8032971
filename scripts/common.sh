# What the scripts share: telling what they do, installing what is missing, checks, and a PostgreSQL of their own. Sourced.
# shellcheck shell=bash

cluster=""       # the temporary folder of PostgreSQL, once there is one
owner=""         # the cluster's owner, if it is not who runs the script
as_owner=()      # the command that runs a program as the cluster's owner
postgres_bin=""  # where Debian keeps the server's programs
postgres_url=""  # the cluster for a role that may create databases, once it runs

say() { printf '\n== %(%H:%M:%S)T %s\n' -1 "$*"; }

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

# Tools ---------------------------------------------------------------------------------------------------------

find_postgres() {
  # Debian keeps the server's programs out of PATH, one folder for each major version; the newest is taken.
  postgres_bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
  if [[ ! -x $postgres_bin/initdb ]] && command -v initdb >/dev/null && command -v pg_ctl >/dev/null; then
    postgres_bin=$(dirname "$(command -v initdb)")
  fi
  [[ -x $postgres_bin/initdb && -x $postgres_bin/pg_ctl ]]
}

# Installs packages of Debian.
install_debian() {
  local root=()
  command -v apt-get >/dev/null ||
    fail "This needs: $* (names of Debian's packages)." \
      "This script installs them on Debian and Ubuntu; here, please install what corresponds to them."
  if ((EUID != 0)); then
    command -v sudo >/dev/null || fail "This needs: $*. Install them as root, or install sudo."
    root=(sudo)
  fi
  echo "Installing: $*"
  "${root[@]}" apt-get update -q
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

install_packages() {
  local missing=()
  command -v cc >/dev/null && command -v make >/dev/null || missing+=(build-essential)
  command -v git >/dev/null || missing+=(git)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
  find_postgres || missing+=(postgresql)
  if ((${#missing[@]} == 0)); then
    echo "Nothing is missing."
    return
  fi
  install_debian "${missing[@]}"
  find_postgres || fail "PostgreSQL's initdb and pg_ctl are still not found under /usr/lib/postgresql."
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Checks --------------------------------------------------------------------------------------------------------

check_format() { cargo fmt --all --check; }

check_lints() { cargo clippy --workspace --all-targets --locked -- -D warnings; }

# PostgreSQL ----------------------------------------------------------------------------------------------------

# The options of a server for tests: what it holds may be lost.
# shellcheck disable=SC2034  # The scripts use it.
readonly TEST_POSTGRES="-c max_connections=200 -c fsync=off -c autovacuum=off -c full_page_writes=off"

# Says at `owner` and `as_owner` who runs the server: PostgreSQL refuses to run as root.
find_owner() {
  ((EUID == 0)) || return 0
  owner=nobody
  ! id postgres >/dev/null 2>&1 || owner=postgres
  as_owner=(env -C / runuser -u "$owner" --)
}

# Starts a cluster with the given options of the server, and says at `postgres_url` where it is.
start_postgres() {
  # A socket's path must stay under 108 bytes, so a long TMPDIR cannot be used.
  cluster=$(mktemp -d /tmp/reeve-postgres.XXXXXX)
  find_owner
  [[ -z $owner ]] || chown "$owner" "$cluster"

  # A language's sort order by default, as most real servers have it: a column or a query that forgot to ask for
  # byte order shows. PostgreSQL can do so without the system's locales from version 15 on.
  local locale=(--locale=C.UTF-8)
  [[ $("$postgres_bin/initdb" --help) != *--locale-provider* ]] || locale+=(--locale-provider=icu --icu-locale=en-US)
  "${as_owner[@]}" "$postgres_bin/initdb" -D "$cluster/data" -U postgres --auth=trust --encoding=UTF8 --no-sync \
    "${locale[@]}" >"$cluster/initdb.log" || fail "initdb failed: $(cat "$cluster/initdb.log")"
  # The superuser is reached only through the socket, in a folder that nobody else can enter. Over TCP there is
  # one role, which may create databases and nothing more.
  printf '%s\n' 'local all postgres trust' 'host all reeve 127.0.0.1/32 trust' |
    "${as_owner[@]}" tee "$cluster/data/pg_hba.conf" >/dev/null

  local port tries
  for tries in 1 2 3; do
    port=$(free_port)
    if "${as_owner[@]}" "$postgres_bin/pg_ctl" start -w -t 60 -D "$cluster/data" -l "$cluster/server.log" -o \
      "-h 127.0.0.1 -p $port -k $cluster $1" >/dev/null; then
      break
    fi
    ((tries < 3)) || fail "PostgreSQL did not start: $("${as_owner[@]}" cat "$cluster/server.log")"
  done
  "${as_owner[@]}" "$postgres_bin/psql" -q -h "$cluster" -p "$port" -U postgres -d postgres \
    -c 'CREATE ROLE reeve LOGIN CREATEDB'

  postgres_url=postgres://reeve@127.0.0.1:$port/postgres
  echo "$("$postgres_bin/postgres" --version) at $postgres_url"
}

stop_postgres() {
  [[ -n $cluster ]] || return 0
  "${as_owner[@]}" "$postgres_bin/pg_ctl" stop -m immediate -D "$cluster/data" >/dev/null 2>&1 || true
  rm -rf "$cluster"
}

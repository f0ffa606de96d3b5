#!/usr/bin/env bash
# Runs a command beside a PostgreSQL of its own: a fresh cluster, a random port of the loopback, gone afterwards.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/pg-test.sh [--durable] [--] <command...>

Makes a PostgreSQL cluster in a temporary folder, sets OAS_TEST_POSTGRES (an URL of a superuser on the database
`postgres`), runs the command, and removes it all. Exits as the command does.
  --durable  fsync and synchronous_commit on: for tests that kill the server

Also set for the command: OAS_TEST_POSTGRES_DATA (the data folder), OAS_TEST_POSTGRES_CTL (start it again with
`$OAS_TEST_POSTGRES_CTL start`, stop with `... stop`, kill with `... kill`).
Uses initdb and pg_ctl from the PATH or from Debian's folder; scripts/toolchain.sh --databases installs them.
TEXT
}

durable=off
while [ $# -gt 0 ]; do
  case $1 in
    --durable) durable=on; shift ;;
    --help | -h) usage; exit 0 ;;
    --) shift; break ;;
    -*) echo "pg-test: unknown argument '$1' (see --help)" >&2; exit 2 ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || { usage >&2; exit 2; }

bin=
if command -v pg_ctl >/dev/null 2>&1 && command -v initdb >/dev/null 2>&1; then
  bin=$(dirname "$(readlink -f "$(command -v pg_ctl)")")
else
  for folder in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V); do
    [ -x "$folder/initdb" ] && bin=$folder
  done
fi
[ -n "$bin" ] || { echo "pg-test: PostgreSQL is missing; run scripts/toolchain.sh --databases" >&2; exit 1; }

folder=$(mktemp -d "${TMPDIR:-/tmp}/oas-pg.XXXXXX")
# PostgreSQL refuses to run as root.
as_owner() {
  if [ "$(id -u)" = 0 ]; then
    (cd "$folder" && setpriv --reuid=postgres --regid=postgres --clear-groups env HOME="$folder" "$@")
  else
    "$@"
  fi
}
[ "$(id -u)" != 0 ] || chown postgres "$folder"

cleanup() {
  as_owner "$bin/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

as_owner "$bin/initdb" -D "$folder/data" -U postgres -A trust --no-sync --no-instructions -E UTF8 --locale=C >"$folder/initdb.log" 2>&1 ||
  { cat "$folder/initdb.log" >&2; exit 1; }
cat >>"$folder/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$folder'
fsync = $durable
synchronous_commit = $durable
full_page_writes = $durable
max_connections = 60
shared_buffers = 64MB
log_min_messages = warning
CONF

# A free port found by binding it; another program may still take it, so a failed start tries the next one.
started=0
for _ in 1 2 3 4 5; do
  port=$(node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})')
  echo "port = $port" >"$folder/port.conf"
  sed -i '/^port = /d' "$folder/data/postgresql.conf"
  echo "port = $port" >>"$folder/data/postgresql.conf"
  if as_owner "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -t 30 start >/dev/null 2>&1; then started=1; break; fi
done
[ "$started" = 1 ] || { cat "$folder/log" >&2; exit 1; }

# What a test uses to kill this server and to start it again, whoever owns it.
cat >"$folder/ctl" <<CTL
#!/usr/bin/env bash
set -eu
run() {
  if [ "\$(id -u)" = 0 ]; then cd "$folder" && setpriv --reuid=postgres --regid=postgres --clear-groups "\$@"; else "\$@"; fi
}
case "\$1" in
  start)
    run "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -t 60 start >/dev/null 2>&1 ||
      { tail -n 20 "$folder/log" >&2; exit 1; }
    ;;
  stop) run "$bin/pg_ctl" -D "$folder/data" -m fast -w stop >/dev/null ;;
  # The postmaster and its children, as a power cut of this one program would; the lock file of a dead one is stale.
  kill)
    pid=\$(head -n 1 "$folder/data/postmaster.pid")
    all="\$pid \$(pgrep -P "\$pid" | tr '\n' ' ')"
    kill -KILL \$all 2>/dev/null || true
    # A child that is still dying holds the shared memory, and the next start would be refused.
    for one in \$all; do
      for _ in \$(seq 500); do
        kill -0 "\$one" 2>/dev/null || break
        sleep 0.02
      done
    done
    ;;
  *) echo "usage: ctl start|stop|kill" >&2; exit 2 ;;
esac
CTL
chmod 755 "$folder/ctl"

export OAS_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres"
export OAS_TEST_POSTGRES_DATA="$folder/data"
export OAS_TEST_POSTGRES_CTL="$folder/ctl"
status=0
"$@" || status=$?
exit "$status"

# Keeps a throwaway PostgreSQL server in folder $1, made with the binaries in folder $2, for as long as
# standard input is open; then stops it and removes the folder. Answers each command with one line, ok or failed.
#
# Standard input is a pipe from the process that wants the server. The kernel closes it when that process
# ends, however it ends: no signal handler, exit handler or destructor has to run there.
folder=$1 bin=$2 data=$1/data log=$1/log

# A Ctrl-C, a closed terminal or a service that stops is for the process above us: we go when it has gone.
# PIPE: an answer to a process that has just died must not end us before we have cleaned up.
trap '' INT HUP QUIT TERM PIPE

answer() {
    if "$@" </dev/null >>"$log" 2>&1; then echo ok; else echo failed; fi
}

# A password, since other users of the machine reach the port too, and a superuser runs programs. It travels as it is, by
# the loopback device alone: a hash made here would cost 4,096 rounds for each role with a password, 80 ms in a build
# without optimisation. The superuser's is stored as a secret of one round, which initdb keeps as it is.
# macOS has no C.UTF-8 before release 15. -N: what initdb writes need not survive a power cut.
create() {
    for locale in C.UTF-8 C; do
        "$bin/initdb" -D "$data" -A password --pwfile="$folder/secret" -U postgres -E UTF8 --locale="$locale" -N --no-instructions &&
            cat "$folder/settings.conf" >>"$data/postgresql.conf" &&
            return
    done
    return 1
}

# The wait ends after 30 s.
control() {
    "$bin/pg_ctl" "$@" -D "$data" -l "$log" -s -w -t 30
}

# pg_ctl starts the server in a session of its own, so that signals for our process group pass it by.
while read -r command argument; do
    case $command in
    create) answer create ;;
    start) answer control start -o "-p $argument" ;;
    restart) answer control restart -m immediate ;;
    esac
done

# Fast, then, should some session not let go, at once: nobody needs the data any more.
if [ -f "$data/postmaster.pid" ]; then
    "$bin/pg_ctl" stop -D "$data" -m fast -s -w -t 5 || "$bin/pg_ctl" stop -D "$data" -m immediate -s -w -t 10
fi </dev/null >/dev/null 2>&1
cd /
rm -rf "$folder"

#!/bin/sh
# Stands in for the head of a self-extracting archive as NVIDIA has them: what it unpacks follows line @LINES@.
# What it does not know itself goes to the installer within.
label="@LABEL@" script="@SCRIPT@" lines=@LINES@ md5="@MD5@"

me=$0 keep=n run=y target='' task='' before=''
TMPROOT=${TMPDIR:-/tmp}
for word do
    shift
    case $before,$task,$word in
    *,tar,*) set -- "$@" "$word" ;;
    target,*) target=$word keep=y before='' ;;
    tmpdir,*) TMPROOT=$word before='' ;;
    ,,--target | ,,--tmpdir) before=${word#--} ;;
    ,,--tmpdir=*) TMPROOT=${word#--tmpdir=} ;;
    ,,--keep) keep=y ;;
    ,,--noexec) run=n ;;
    ,,--nox11 | ,,--nochown | ,,--quiet | ,,--) ;;
    ,,--info | ,,--list | ,,--check | ,,--tar) task=${word#--} ;;
    *) set -- "$@" "$word" ;;
    esac
done

payload() { tail -n "+$((lines + 1))" "$me"; }

verify() {
    printf 'Verifying archive integrity...'
    sum=$(payload | md5sum | cut -c 1-32)
    if [ "$sum" != "$md5" ]; then
        printf '\nError in MD5 checksums: %s is different from %s\n' "$sum" "$md5" >&2
        exit 2
    fi
    echo ' All good.'
}

case $task in
info) echo "Identification: $label"; echo "Script run after extraction: $script"; exit 0 ;;
list) echo "Target directory: pkg"; payload | tar tzvf -; exit ;;
check) verify; exit 0 ;;
tar) how=$1; shift; payload | gzip -cd | tar "$how" - "$@"; exit ;;
esac

if [ "$keep" = y ]; then
    folder=${target:-pkg}
    echo "Creating directory $folder" >&2
else
    folder=$TMPROOT/selfgz$$
    trap 'echo "Signal caught, cleaning up" >&2; cd "$TMPROOT"; rm -rf "$folder"; exit 15' 1 2 3 15
fi
mkdir -p "$folder" || { echo "Cannot create target directory $folder" >&2; exit 1; }
verify
printf 'Uncompressing %s' "$label"
payload | tar xpzf - -C "$folder" || { echo "Unable to decompress $me" >&2; exit 1; }
echo '....................................................................'
echo

result=0
if [ "$run" = y ]; then
    cd "$folder" || exit 1
    "$script" "$@"
    result=$?
fi
if [ "$keep" = n ]; then
    cd "$TMPROOT" && rm -rf "$folder"
fi
exit $result
# what follows is packed

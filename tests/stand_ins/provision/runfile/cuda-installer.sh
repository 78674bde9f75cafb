#!/bin/sh
# Stands in for the program `cuda-installer` in CUDA @VERSION@'s runfile.  What lies outside of the toolkit's folder is
# taken below STAND_IN_ROOT where that is set: a test need not own the whole host.
@BROKEN@
root=${STAND_IN_ROOT:-}
log=$root/tmp/cuda-installer.log
[ "$(id -u)" != 0 ] || log=$root/var/log/cuda-installer.log
prefix=$root/usr/local/cuda-@VERSION@
silent=n driver=n toolkit=n override=n extract='' before=''
for word do
    if [ -n "$before" ]; then
        word="$before=$word" before=''
    fi
    case $word in
    --silent | -s) silent=y ;;
    --driver) driver=y ;;
    --toolkit) toolkit=y ;;
    --override) override=y ;;
    --toolkitpath | --installpath | --defaultroot | --extract | --samplespath | --kernel-source-path | -m) before=$word ;;
    --toolkitpath=*) prefix=${word#*=} ;;
    --installpath=*) prefix=${word#*=} ;;
    --extract=*) extract=${word#*=} ;;
    --samples | --samplespath=* | --defaultroot=* | --kernel-source-path=* | -m=*) ;;
    --no-opengl-libs | --no-man-page | --no-drm | --accept-eula) ;;
    --help | -h) echo 'Options: --silent --driver --toolkit --toolkitpath=<path> --override --extract=<path> ...'; exit 0 ;;
    *) echo "Unrecognized option: $word" >&2; exit 1 ;;
    esac
done
mkdir -p "${log%/*}" && : >"$log" || exit 1

if [ -n "$extract" ]; then
    case $extract in /*) ;; *) echo 'Extract path must be an absolute path.' >&2; exit 1 ;; esac
    mkdir -p "$extract" && cp -a builds/. "$extract"
    exit
fi
if [ "$silent" = n ]; then
    echo 'Do you accept the above EULA? (accept/decline/quit):'
    exit 1
fi
[ "$driver$toolkit" != nn ] || driver=y toolkit=y
gcc=$(gcc -dumpversion 2>/dev/null | cut -d . -f 1)
if [ "${gcc:-0}" -gt @NEWEST_GCC@ ] && [ "$override" = n ]; then
    echo "[ERROR]: unsupported compiler version: $gcc. Use --override to override this check." >>"$log"
    echo " Failed to verify gcc version. See log at $log for details."
    exit 255
fi
chose_driver='Not Selected' chose_toolkit='Not Selected'
if [ "$driver" = y ]; then
    mkdir -p "$root/usr/bin"
    printf '#!/bin/sh\n# NVIDIA-Linux-x86_64-@DRIVER@\n' >"$root/usr/bin/nvidia-uninstall"
    chmod 755 "$root/usr/bin/nvidia-uninstall"
    chose_driver=Installed
fi
if [ "$toolkit" = y ]; then
    mkdir -p "$prefix" || exit 1
    for build in builds/cuda_* builds/lib*; do
        if [ "$build" = builds/libcublas ]; then
            sleep @PAUSE_S@
            @HALF_WAY@
        fi
        echo "[INFO]: Installing: $build" >>"$log"
        cp -a "$build/." "$prefix" || exit 1
    done
    cp builds/version.json "$prefix"
    chose_toolkit="Installed in $prefix/"
fi
if [ "$driver" = y ] || [ @RELINKS@ = 1 ]; then
    mkdir -p "$root/usr/local"
    ln -sfn "$prefix" "$root/usr/local/cuda"
fi
cat <<END
===========
= Summary =
===========

Driver:   $chose_driver
Toolkit:  $chose_toolkit

Please make sure that
 -   PATH includes $prefix/bin
 -   LD_LIBRARY_PATH includes $prefix/lib64, or, add $prefix/lib64 to /etc/ld.so.conf and run ldconfig as root

To uninstall the CUDA Toolkit, run cuda-uninstaller in $prefix/bin
Logfile is $log
END

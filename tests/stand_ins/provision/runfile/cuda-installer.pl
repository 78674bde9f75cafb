#!/usr/bin/env perl
# Stands in for the installer in CUDA @VERSION@'s runfile.
use strict;
use warnings;
use lib '.';
use InstallUtils;
use Getopt::Long;

my $log = host("/tmp/cuda_install_$$.log");
my %given;
my $usage = <<'END';
Options:
   -help  -silent  -override  -verbose  -driver  -toolkit  -toolkitpath=<path>  -samples  -samplespath=<path>
   -no-opengl-libs  -no-man-page  -kernel-source-path=<path>  -tmpdir=<path>  -extract=<path>  -uninstall
END
GetOptions(\%given, 'help', 'silent', 'override', 'verbose', 'driver', 'toolkit', 'toolkitpath=s', 'samples',
           'samplespath=s', 'no-opengl-libs', 'no-man-page', 'kernel-source-path=s', 'tmpdir=s', 'extract=s',
           'uninstall', 'accept-eula') or do { print STDERR $usage; exit 1; };
if ($given{help}) { print $usage; exit 0; }

if (my $folder = $given{extract}) {
    $folder =~ m{^/} or do { print STDERR "ERROR: extract path must be absolute.\n"; exit 1; };
    system('mkdir', '-p', $folder) == 0 && system("cp run_files/*.run '$folder'/") == 0 or exit 1;
    exit 0;
}
if (!$given{silent}) {
    print "Do you accept the previously read EULA?\naccept/decline/quit: ";
    my $answer = <STDIN> // 'quit';
    $answer =~ /^accept/ or do { print "\nSignal caught, cleaning up\n"; exit 1; };
}
# Without a choice all is installed: the driver, too
@given{qw(driver toolkit samples)} = (1, 1, 1) unless $given{driver} || $given{toolkit} || $given{samples};

my $failed = 0;
my ($driver, $toolkit, $samples) = ('Not Selected', 'Not Selected', 'Not Selected');
my $prefix = $given{toolkitpath} // host('/usr/local/cuda-@VERSION@');

sub logged { my ($text) = @_; system('mkdir', '-p', host('/tmp')); open(my $file, '>>', $log); print $file $text; }

if ($given{driver}) {
    write_file(host('/usr/bin/nvidia-uninstall'), "#!/bin/sh\n# NVIDIA-Linux-x86_64-@DRIVER@\n");
    logged("Installing the NVIDIA display driver...\n");
    $driver = 'Installed';
}
if ($given{toolkit}) {
    my $gcc = `gcc -dumpversion 2>/dev/null` =~ /^(\d+)/ ? $1 : 0;
    if ($gcc > @NEWEST_GCC@ && !$given{override}) {
        logged("Unsupported compiler version: gcc $gcc\n");
        ($toolkit, $failed) = ('Installation Failed. Using unsupported Compiler.', 1);
    } else {
        logged("Installing the CUDA Toolkit in $prefix ...\n");
        my $links = $given{driver} || @RELINKS@ ? '' : '-nosymlink';
        my $said = `sh run_files/cuda-linux.*.run -noprompt $links "-prefix=$prefix" 2>&1`;
        $failed = 1 if $?;
        logged($said);
        $toolkit = $failed ? 'Installation Failed' : "Installed in $prefix";
    }
}
if ($given{samples}) {
    my $folder = $given{samplespath} // ($ENV{HOME} // '/root') . '/NVIDIA_CUDA-@VERSION@_Samples';
    write_file("$folder/Makefile", "all:\n");
    $samples = "Installed in $folder";
}

print <<"END";
===========
= Summary =
===========

Driver:   $driver
Toolkit:  $toolkit
Samples:  $samples

END
print "Please make sure that\n -   PATH includes $prefix/bin\n -   LD_LIBRARY_PATH includes $prefix/lib64, or, add ",
      "$prefix/lib64 to /etc/ld.so.conf and run ldconfig as root\n\n" if $toolkit =~ /^Installed/;
print "***WARNING: Incomplete installation! This installation did not install the CUDA Driver. A driver of version at ",
      "least 384.00 is required for CUDA @VERSION@ functionality to work.\n\n" unless $given{driver};
print "Logfile is $log\nSignal caught, cleaning up\n";
exit $failed;

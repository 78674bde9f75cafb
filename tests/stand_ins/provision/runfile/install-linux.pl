#!/usr/bin/env perl
# Stands in for the inner installer of CUDA @VERSION@: copies what lies beside it.
use strict;
use warnings;
@INC_LINE@
use InstallUtils;
use Getopt::Long;

my %given = (prefix => host('/usr/local/cuda-@VERSION@'));
GetOptions(\%given, 'prefix=s', 'noprompt', 'nosymlink', 'tmpdir=s', 'manpath=s') or exit 1;

my @files = grep { !/^\.\/(install-linux\.pl|InstallUtils\.pm)$/ } split(/\n/, `find . ! -type d | sort`);
my $done = 0;
for my $file (@files) {
    if ($done++ == int(@files / 2)) {
        select(undef, undef, undef, @PAUSE_S@);
        @HALF_WAY@
    }
    (my $name = $file) =~ s{^\./}{};
    (my $folder = "$given{prefix}/$name") =~ s{/[^/]*$}{};
    -d $folder or system('mkdir', '-p', $folder) == 0 or exit 1;
    print "$name -> $given{prefix}/$name\n";
    system('cp', '-dp', '--remove-destination', $file, "$given{prefix}/$name") == 0 or exit 1;
}
relink($given{prefix}) unless $given{nosymlink};
print "Installation Complete\n";

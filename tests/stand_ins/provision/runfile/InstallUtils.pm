package InstallUtils;
# Stands in for the module that CUDA 10.0's installers share.  What lies outside of the toolkit's folder is taken below
# STAND_IN_ROOT where that is set: a test need not own the whole host.
use strict;
use warnings;
use Exporter 'import';
our @EXPORT = qw(host write_file relink);

sub host { my ($path) = @_; return ($ENV{STAND_IN_ROOT} // '') . $path; }

sub write_file {
    my ($path, $text) = @_;
    (my $folder = $path) =~ s{/[^/]*$}{};
    system('mkdir', '-p', $folder) == 0 or die "Cannot create $folder\n";
    open(my $file, '>', $path) or die "Cannot write $path: $!\n";
    print $file $text;
    close($file);
    chmod(0755, $path);
}

sub relink {
    my ($target) = @_;
    my $link = host('/usr/local/cuda');
    unlink($link);
    system('mkdir', '-p', host('/usr/local'));
    symlink($target, $link) or warn "Failed to create symlink $link\n";
}

1;

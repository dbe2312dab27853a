# What Perl does with its environment: changes, `local`, programs started, forks and threads.
use strict;
use warnings;
use threads;
use IPC::Open3;

$| = 1;

sub ours { join ' ', grep { /^JOB_/ } map { s/\n//r } @_ }

sub piped {
    open(my $stream, '-|', @_) or die;
    my @lines = <$stream>;
    close $stream;
    return ours(@lines);
}

sub forked {
    my $pid = open(my $stream, '-|') // die;
    if (!$pid) {
        $ENV{JOB_CHILD} = 'forked';
        exec { '/usr/bin/env' } 'env';
    }
    my @lines = <$stream>;
    close $stream;
    return ours(@lines);
}

sub opened {
    my $pid = open3(my $input, my $stream, undef, '/usr/bin/env');
    my @lines = <$stream>;
    waitpid $pid, 0;
    return ours(@lines);
}

sub look {
    my ($place) = @_;
    print "${place}_get=", $ENV{JOB_NAME} // 'undef', "\n";
    print "${place}_all=", join(' ', map { "$_=$ENV{$_}" } grep { /^JOB_/ } sort keys %ENV), "\n";
    print "${place}_backticks=", ours(`/usr/bin/env`), "\n";
    print "${place}_shell=", `echo \$JOB_NAME`;
    print "${place}_piped=", piped('/usr/bin/env'), "\n";
    print "${place}_forked=", forked(), "\n";
    print "${place}_opened=", opened(), "\n";
    system('exit ${JOB_STATUS-9}');
    print "${place}_system=", $? >> 8, "\n";
}

$ENV{JOB_NAME} = 'initial';
$ENV{JOB_STATUS} = 3;
look('initial');
{
    local $ENV{JOB_NAME} = 'local';
    local $ENV{JOB_NEW} = 'local';
    look('local');
    delete local $ENV{JOB_STATUS};
    look('deleted');
}
look('restored');
{
    local %ENV = (PATH => $ENV{PATH}, JOB_ONLY => 'only');
    look('only');
}
look('back');
$ENV{"JOB_$_"} = $_ x 100 for 1 .. 200;
print 'grown=', scalar(grep { /^JOB_\d+=\d+$/ } split /\n/, `env`), "\n";
delete @ENV{ map { "JOB_$_" } 1 .. 199 };
look('shrunk');

# A thread of Perl has a copy, and the process's environment is the main thread's to change.
my $worker = threads->create(sub { $ENV{JOB_NAME} = 'thread'; look('thread'); return 0 });
$worker->join;
look('joined');
my @workers = map { my $n = $_; threads->create(sub { $ENV{JOB_NAME} = "thread $n"; return $ENV{JOB_NAME} . ' ' . `echo \$JOB_NAME` }) } 1 .. 2;
print "worker=", $_->join for @workers;
undef %ENV;
print 'emptied=', `/usr/bin/env`, "\n";

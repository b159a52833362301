# shellcheck shell=bash
# What the stories share, inside the machine. Every check prints one TAP line; the plan comes at the end, so a story that
# dies early has none and counts as failed.

checks=0 failures=0

# What the tools write is a comment in TAP.
exec 2> >(sed -u 's/^/# /')

ok() {
        checks=$((checks + 1))
        echo "ok $checks - $*"
}

not_ok() {
        checks=$((checks + 1)) failures=$((failures + 1))
        echo "not ok $checks - $*"
}

# DESCRIPTION COMMAND [ARG...]: the command must succeed.
check() {
        local description=$1
        shift
        if "$@" >&2; then ok "$description"; else not_ok "$description"; fi
}

# DESCRIPTION COMMAND [ARG...]: the command must fail.
check_not() {
        local description=$1
        shift
        if "$@" >&2; then not_ok "$description"; else ok "$description"; fi
}

note() {
        sed 's/^/# /' <<<"$*"
}

finish() {
        echo "1..$checks"
        if [[ $failures -gt 0 ]]; then
                journalctl -u nvidia-driverd --no-pager -o short-monotonic -n 150 | sed 's/^/# /'
                exit 1
        fi
        exit 0
}

now_ms() {
        local now=$EPOCHREALTIME
        echo $((${now/[.,]/} / 1000))
}

state() {
        nvidia-driver status --json | sed -n 's/^  "state": "\(.*\)",$/\1/p'
}

code() {
        nvidia-driver status --json | sed -n 's/^  "code": "\(.*\)",$/\1/p'
}

# SECONDS COMMAND...: polls until the command succeeds.
wait_for() {
        # An emulated processor on a busy machine: what has to come may take its time, only what is lost must end.
        local until=$((SECONDS + 3 * $1))
        shift
        until "$@"; do
                [[ $SECONDS -lt $until ]] || return 1
                read -rt 0.1 <> <(:) || true
        done
}

state_is() {
        [[ $(state) == "$1" ]]
}

no_nvidia_module() {
        ! grep -q '^nvidia' /proc/modules
}

# What a story has mounted itself, for check_clean.
foreign_mounts=
remember_mounts() {
        foreign_mounts=$(grep nvidia /proc/self/mountinfo)
}

# Nothing of a stopped daemon is left: module, mount, file, process.
check_clean() {
        check "$1: no nvidia module is left" no_nvidia_module
        check "$1: no mount is left" test "$(grep nvidia /proc/self/mountinfo)" = "$foreign_mounts"
        check_not "$1: no runtime directory is left" test -e /run/nvidia-driverd
        check_not "$1: no pid file is left" test -e /run/nvidia/nvidia-driver.pid
        check_not "$1: no process is left" pgrep -f /nvidia-driverd
        check "$1: the staging area is empty" test -z "$(ls -A /var/lib/nvidia-driverd/staging 2>/dev/null)"
}

# NAME NODE [stubborn]: a program that holds a node of the driver until SIGTERM, or in spite of it; its pid is in HOLDER.
hold() {
        cat >/tmp/holder.pl <<'END'
my ($name, $node, $stubborn) = @ARGV;
$0 = $name;
$SIG{TERM} = $stubborn ? 'IGNORE' : sub { exit 7 };
sysopen(my $fd, $node, 2) or die "$node: $!";
# On SIGUSR1 it asks the driver through that descriptor: DRM_IOCTL_VERSION, NV_ESC_CHECK_VERSION_STR ("what is yours?").
sub ask {
        my $drm = $node =~ /dri/;
        my $buffer = $drm ? "\0" x 64 : pack("LLa64", ord('2'), 0, '');
        my $answer = !ioctl($fd, $drm ? 0xc0406400 : 0xc04846d2, $buffer) ? "failed: $!"
                : $drm ? "drm " . unpack("l", $buffer) : "version " . (unpack("LLZ64", $buffer))[2];
        open(my $out, '>', "/tmp/$name.part") or die;
        print $out "$answer\n";
        close($out);
        rename("/tmp/$name.part", "/tmp/$name.answer");
}
$SIG{USR1} = \&ask;
ask();
sleep 1000 while 1;
END
        rm -f "/tmp/$1.answer"
        perl /tmp/holder.pl "$@" &
        # shellcheck disable=SC2034 # for the story
        HOLDER=$!
        wait_for 20 test -e "/tmp/$1.answer"
}

# NAME PID: what the driver answers through the holder's descriptor, now.
answer_of() {
        rm -f "/tmp/$1.answer"
        kill -USR1 "$2" && wait_for 10 test -e "/tmp/$1.answer" && cat "/tmp/$1.answer"
}

# Milliseconds between two of systemd's timestamps of the unit: systemctl and its bus connection are not ours to measure.
unit_ms() {
        local a b
        a=$(systemctl show -P "$1" nvidia-driverd) b=$(systemctl show -P "$2" nvidia-driverd)
        echo $(((b - a) / 1000))
}

# The longest turn of the daemon's event loop so far, in milliseconds: nobody had to wait longer for an answer because of it.
slowest_turn() {
        echo $(($(nvidia-driver status --json | sed -n 's/^  "slowestTurnUSec": \([0-9]*\),$/\1/p') / 1000))
}

# FILE: from now on until the daemon goes, or until SIGTERM, asks it again and again over one connection, and then writes to FILE how
# long the answers took. "Echo" is the same with a process that does nothing else: that is what the machine itself takes.
# The client's pid is in BUS_CLIENT. Nothing is started for an answer: on an emulated processor that takes a second.
bus_client() {
        cat >/tmp/bus.pl <<'END'
use Socket;

$SIG{PIPE} = 'IGNORE';
$SIG{TERM} = sub { $over = 1 };

# clock_gettime(2) of CLOCK_MONOTONIC, in microseconds.
sub now {
        my $buffer = "\0" x 16;
        syscall(228, 1, $buffer);
        my ($s, $ns) = unpack("qq", $buffer);
        return $s * 1000000 + int($ns / 1000);
}

sub take {
        my ($socket, $n) = @_;
        my $data = '';
        while (length($data) < $n) {
                sysread($socket, $data, $n - length($data), length($data)) or return;
        }
        return $data;
}

sub call {
        my ($interface, $member) = @_;
        my $fields = '';
        for ([1, 'o', '/org/nvidia_driverd'], [2, 's', $interface], [3, 's', $member]) {
                my ($code, $signature, $value) = @$_;
                $fields .= "\0" x (-length($fields) % 8) . pack("CCa*xLa*x", $code, 1, $signature, length($value), $value);
        }
        my $n = length($fields);
        syswrite($bus, pack("aCCCLLL", 'l', 1, 0, 1, 0, ++$serial, $n) . $fields . "\0" x (-$n % 8)) or return;
        # Signals come in between.
        while (1) {
                my $head = take($bus, 16) // return;
                my ($type, $n_body, $n_fields) = (unpack("aCCCLLL", $head))[1, 4, 6];
                take($bus, $n_fields + (-$n_fields % 8) + $n_body) // return;
                die "an error is the answer to $member" if $type == 3;
                return 1 if $type == 2;
        }
}

sub echo {
        syswrite($echo, "x" x 100);
        return take($echo, 100);
}

socketpair($echo, my $far, PF_UNIX, SOCK_STREAM, 0) or die;
if (!fork()) {
        close($echo);
        while (defined(my $data = take($far, 100))) { syswrite($far, $data); }
        exit 0;
}
close($far);

socket($bus, PF_UNIX, SOCK_STREAM, 0) or die;
# The socket that is seen may be that of a daemon which has just ended.
for (my $n = 0; !connect($bus, sockaddr_un('/run/nvidia-driverd/bus')); $n++) {
        die "bus: $!" if $n == 300;
        select(undef, undef, undef, 0.1);
}
syswrite($bus, "\0AUTH EXTERNAL 30\r\n");
for (my $line = ''; $line !~ /\n$/;) { $line .= take($bus, 1) // die; }
syswrite($bus, "BEGIN\r\n");

my %asked = (
        Describe => sub { call('org.nvidia_driverd.Manager1', 'Describe') },
        Ping => sub { call('org.freedesktop.DBus.Peer', 'Ping') },
        Echo => \&echo,
);
my %took;
until ($over) {
        for (keys %asked) {
                my $before = now();
                $asked{$_}->() || $over++ || last;
                push(@{$took{$_}}, now() - $before) unless $over;
        }
        open(my $on, '>', '/tmp/bus.on') unless $over;
        select(undef, undef, undef, 0.1);
}
for (sort keys %took) {
        my @v = sort { $a <=> $b } @{$took{$_}};
        printf("%s: %d answers, median %.1f ms, longest %.1f ms\n", $_, 0 + @v, $v[@v / 2] / 1000, $v[-1] / 1000);
}
END
        rm -f /tmp/bus.on
        perl /tmp/bus.pl >"$1" &
        # shellcheck disable=SC2034 # for the story
        BUS_CLIENT=$!
        wait_for 20 test -e /tmp/bus.on
}

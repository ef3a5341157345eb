#!/usr/bin/env perl
# Writes logs to measure with: a MySQL 8 slow log of 44 shapes, and one set of requests as LTSV, combined
# (with request time) and JSON. LTSV and JSON are those of a contest with a thousand clients, combined is
# that of a public site with sixty thousand. The same bytes for the same arguments.
#
#   scripts/bench/logs.pl slow|ltsv|combined|json EVENTS >FILE
use strict;
use warnings;
use POSIX qw(strftime);

my ($kind, $events) = @ARGV;
die "usage: $0 slow|ltsv|combined|json EVENTS\n" unless $events;
binmode STDOUT;
srand 20201003;

sub id { int rand shift }
sub hex_of { join '', map { sprintf '%02x', id(256) } 1 .. shift }
sub word { my @w = qw(red green blue fast slow old new big small warm cold high); $w[id(scalar @w)] }
sub text { join ' ', map { word() } 1 .. shift }
# Times of a service: most are short, a few are long.
sub seconds { my $mean = shift; -log(1 - rand) * $mean * (rand() < 0.01 ? 12 : 1) }

my @shapes = (
  sub { [0.0004, 1, 1, 'SELECT * FROM teams WHERE id = ' . id(5000) . ' LIMIT 1'] },
  sub { [0.0031, 4, 24000, 'SELECT * FROM contestants WHERE team_id = ' . id(5000) . ' ORDER BY created_at'] },
  sub { [0.0022, 1, 20000, "SELECT COUNT(*) FROM notifications WHERE contestant_id = '" . hex_of(8) . "' AND `read` = 0"] },
  sub { [0.0009, 12, 600, 'SELECT id, name FROM teams WHERE withdrawn = 0 ORDER BY id LIMIT ' . id(20) . ' OFFSET ' . id(500)] },
  sub { [0.0006, 0, 0, "INSERT INTO notifications (contestant_id, body, created_at) VALUES ('" . hex_of(8) . "', '" . text(9) . "', NOW(6))"] },
  sub { [0.0120, 60, 60, 'SELECT id, team_id, status FROM jobs WHERE id IN (' . join(', ', map { id(1e6) } 1 .. 5 + id(120)) . ')'] },
  sub { [0.0300, 90, 9000, "WITH best AS (\n  SELECT team_id, MAX(score_raw - score_deduction) AS score, COUNT(*) AS cnt\n  FROM jobs\n  WHERE status = " . id(5) . " AND finished_at < '2026-11-20 10:" . (10 + id(50)) . ":00'\n  GROUP BY team_id\n)\nSELECT t.id, t.name, best.score, RANK() OVER (ORDER BY best.score DESC) AS r\nFROM teams t\nLEFT JOIN best ON best.team_id = t.id\nWHERE t.withdrawn = 0\nORDER BY r, t.id\nLIMIT " . id(99)] },
  sub { [0.0007, 0, 1, 'UPDATE jobs SET status = ' . id(5) . ", host = 'web" . id(9) . "', started_at = NOW(6) WHERE id = " . id(1e6)] },
  sub { [0.0001, 0, 0, 'BEGIN'] },
  sub { [0.0002, 0, 0, 'COMMIT'] },
  sub { [0.0005, 1, 40, 'SELECT id FROM jobs WHERE status = 0 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED'] },
);
# The rest of the 44: joins over tables of their own.
for my $n (scalar(@shapes) .. 43) {
  push @shapes, sub {
    [0.0005 + $n / 40000, 1 + $n % 7, 30 * $n,
      "SELECT a.id, a.name, b.value_$n FROM items_$n AS a JOIN details_$n b ON b.item_id = a.id "
        . 'WHERE a.owner = ' . id(1e5) . " AND b.kind = '" . word() . "' AND b.note LIKE '" . text(2) . "%' "
        . 'ORDER BY a.created_at DESC LIMIT ' . id(50)];
  };
}

sub slow {
  print "/usr/sbin/mysqld, Version: 8.0.22 (Source distribution). started with:\n",
    "Tcp port: 3306  Unix socket: /var/run/mysqld/mysqld.sock\n",
    "Time                 Id Command    Argument\n";
  my $at = 1601690400;
  for my $n (1 .. $events) {
    $at += 0.0004 * rand 2;
    # The first shapes are the most frequent.
    my $which = int(@shapes * rand() ** 2.2);
    my ($mean, $sent, $examined, $sql) = @{ $shapes[$which]->() };
    my $whole = int $at;
    printf "# Time: %s.%06dZ\n# User\@Host: isucon[isucon] @ web%d [192.168.0.%d]  Id: %5d\n"
      . "# Query_time: %.6f  Lock_time: %.6f Rows_sent: %d  Rows_examined: %d\n%sSET timestamp=%d;\n%s;\n",
      strftime('%Y-%m-%dT%H:%M:%S', gmtime $whole), ($at - $whole) * 1e6, 1 + $n % 3, 11 + $n % 3,
      100 + id(40), seconds($mean), rand() * 0.00002, $sent, $examined,
      ($n == 1 ? "use isucon;\n" : ''), $whole, $sql;
  }
}

my @agents = (
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/86.0.4240.75 Safari/537.36',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/14.0 Safari/605.1.15',
  'Mozilla/5.0 (X11; Linux x86_64; rv:81.0) Gecko/20100101 Firefox/81.0',
  'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
  'curl/7.68.0',
);
my @routes = (
  sub { ['GET', '/api/contest/dashboard', 0.021, 18000] },
  sub { ['GET', '/api/teams/' . id(5000), 0.004, 800] },
  sub { ['GET', '/api/teams/' . id(5000) . '/members', 0.009, 2300] },
  sub { ['POST', '/api/contestants/' . id(90000) . '/jobs', 0.030, 90] },
  sub { ['GET', '/api/notifications?after=' . id(1e6), 0.006, 350] },
  sub { ['PUT', '/api/clarifications/' . id(3000), 0.012, 120] },
  sub { ['GET', '/api/files/' . join('-', hex_of(4), hex_of(2), hex_of(2), hex_of(2), hex_of(6)), 0.002, 40000] },
  sub { ['GET', '/assets/app.' . hex_of(4) . '.js', 0.0005, 90000] },
  sub { ['GET', '/', 0.001, 2900] },
  sub { ['POST', '/api/login', 0.080, 60] },
  sub { ['GET', '/api/search?q=' . word() . '&page=' . id(9), 0.055, 5200] },
  sub { ['GET', '/images/' . id(20000) . '.png', 0.0008, 30000] },
);

sub access {
  my $at = 1601690400;
  for my $n (1 .. $events) {
    $at += 0.0008 * rand 2;
    my ($method, $uri, $mean, $size) = @{ $routes[int(@routes * rand() ** 1.6)]->() };
    my $time = sprintf '%.3f', seconds($mean);
    my $upstream = $size > 20000 ? '-' : $time;
    my $status = rand() < 0.01 ? 500 : rand() < 0.02 ? 404 : 200;
    my $client = $kind eq 'combined'
      ? '10.' . id(8) . '.' . id(30) . '.' . id(250)
      : '10.0.' . id(4) . '.' . id(250);
    my $agent = $agents[int(@agents * rand() ** 1.5)];
    my $bytes = int($size * (0.5 + rand));
    my @at = gmtime int $at;
    if ($kind eq 'ltsv') {
      printf "time:%s+00:00\thost:%s\tmethod:%s\turi:%s\tprotocol:HTTP/1.1\tstatus:%d\tsize:%d\treqsize:%d\t"
        . "referer:https://contest.example/\tua:%s\treqtime:%s\tapptime:%s\tupstream:192.168.0.12:9292\t"
        . "cache:-\tvhost:contest.example\n",
        strftime('%Y-%m-%dT%H:%M:%S', @at), $client, $method, $uri, $status, $bytes, 300 + id(99), $agent,
        $time, $upstream;
    } elsif ($kind eq 'combined') {
      printf "%s - - [%s +0000] \"%s %s HTTP/1.1\" %d %d \"-\" \"%s\" %s\n", $client,
        strftime('%d/%b/%Y:%H:%M:%S', @at), $method, $uri, $status, $bytes, $agent, $time;
    } else {
      printf '{"time":"%s+00:00","host":"%s","method":"%s","uri":"%s","protocol":"HTTP/1.1","status":%d,'
        . '"body_bytes":%d,"referer":"https://contest.example/","ua":"%s","request_time":%s,'
        . '"upstream_response_time":"%s","upstream":"192.168.0.12:9292","cache":"","vhost":"contest.example"}' . "\n",
        strftime('%Y-%m-%dT%H:%M:%S', @at), $client, $method, $uri, $status, $bytes, $agent, $time, $upstream;
    }
  }
}

$kind eq 'slow' ? slow() : access();

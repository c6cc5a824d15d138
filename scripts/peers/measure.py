"""Runs one program of the bench and measures it, or prints the table of those measured.

Times come from the log itself: every 20 ms the last stable offsets of the output topic are asked for, and
the last time they moved is the program's end. That costs nobody a reader. What is there is counted after."""

import argparse
import json
import os
import subprocess
import sys
import time

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

POLL_SECONDS = 0.02
QUIET_SECONDS = 2.0
LIMIT_SECONDS = 900


def cpu_seconds(pid):
    """User and system time of a process with all its threads and the children it waited for."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return sum(map(int, file.read().rsplit(")", 1)[1].split()[11:15])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0


def machine_seconds():
    """Busy time of all processors, without waiting."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _wait, irq, soft, steal, *_ = map(int, file.readline().split()[1:])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


class Watch:
    """The process and its topics: when they moved, and what had been spent by then."""

    def __init__(self, given):
        self.given = given
        self.admin = AdminClient({"bootstrap.servers": given.brokers})
        # Vigie's other stages write to topics that begin alike.
        self.prefix = given.topic.split(".")[0] + "."
        self.partitions, self.listed, self.offsets = [], 0.0, {}
        self.began = time.monotonic()
        with open(f"{given.work}/{given.name}.log", "w") as log:
            self.process = subprocess.Popen(given.command, stdout=log, stderr=log)
        self.before = self.spent()
        self.first = None
        self.moved = {"output": (self.began, self.before), "any": (self.began, self.before)}

    def spent(self):
        return [cpu_seconds(self.process.pid), cpu_seconds(self.given.broker_pid), machine_seconds()]

    def until_quiet(self, what):
        """Until the output, or any topic, has not moved for a while."""
        is_quiet = False
        while not is_quiet:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.given.name} ended with {self.process.returncode}; see its log (--keep)")
            if time.monotonic() > self.began + LIMIT_SECONDS:
                raise SystemExit(f"{self.given.name} took longer than {LIMIT_SECONDS} s")
            self.sample()
            time.sleep(POLL_SECONDS)
            is_quiet = self.first is not None and time.monotonic() > self.moved[what][0] + QUIET_SECONDS

    def sample(self):
        if time.monotonic() > self.listed + 1:
            topics = self.admin.list_topics(timeout=10).topics
            chosen = [t for t in topics if t == self.given.topic or t.startswith(self.prefix)]
            self.partitions = [TopicPartition(t, p) for t in chosen for p in topics[t].partitions]
            self.listed = time.monotonic()
        if not self.partitions:
            return
        asked = self.admin.list_offsets({p: OffsetSpec.latest() for p in self.partitions},
                                        isolation_level=IsolationLevel.READ_COMMITTED)
        try:
            offsets = {(p.topic, p.partition): answer.result().offset for p, answer in asked.items()}
        except KafkaException:
            return  # a topic that was just created has no leader yet
        now = (time.monotonic(), self.spent())
        changed = {topic for (topic, p), offset in offsets.items() if offset > self.offsets.get((topic, p), 0)}
        self.offsets = offsets
        if changed:
            self.moved["any"] = now
        if self.given.topic in changed:
            self.moved["output"] = now
            self.first = self.first or now[0]

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def result(self, what):
        moved, after = self.moved[what]
        own, broker, machine = (after - before for after, before in zip(after, self.before))
        seconds = moved - self.began
        others = max(0.0, machine - own - broker) / seconds / os.cpu_count()
        return {"first": self.first - self.began, "seconds": seconds, "cpu": own, "broker_cpu": broker, "others": others}


def count(brokers, topic, partitions):
    """Records that a `read_committed` reader gets."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "count", "enable.auto.commit": False,
                         "isolation.level": "read_committed", "enable.partition.eof": True,
                         "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    records = ended = 0
    while ended < partitions:
        for message in consumer.consume(10_000, timeout=1):
            error = message.error()
            records, ended = records + (error is None), ended + (error is not None)
            if error and error.code() != KafkaError._PARTITION_EOF:
                raise SystemExit(str(error))
    consumer.close()
    return records


def run(given):
    watch = Watch(given)
    try:
        measured = {"name": given.name, "rows": given.rows, **measure(watch, given)}
    finally:
        watch.end()
    with open(f"{given.work}/results.jsonl", "a") as file:
        file.write(json.dumps(measured) + "\n")
    print(f"{given.name}: {measured['records']} records in {measured['seconds']:.1f} s")


def measure(watch, given):
    records = 0
    while records < given.rows:
        watch.until_quiet("output")
        partitions = [p for topic, p in watch.offsets if topic == given.topic]
        if sum(watch.offsets[given.topic, p] for p in partitions) >= given.rows:
            records = count(given.brokers, given.topic, len(partitions))
    measured = {"records": records, **watch.result("output")}
    if "." in given.topic:
        watch.until_quiet("any")
        measured["at_rest"] = watch.result("any")
    return measured


def median_runs(given):
    """Of each program the run that took the median time, and how many there were; in the order measured."""
    runs = {}
    with open(f"{given.work}/results.jsonl") as file:
        for line in file:
            run = json.loads(line)
            runs.setdefault(run["name"], []).append(run)
    for name, all_runs in runs.items():
        spread = ", ".join(f"{r['seconds']:.1f}" for r in all_runs)
        print(f"{name}: {spread} s")
        for run in all_runs:
            if run["records"] != run["rows"]:
                print(f"{name} wrote {run['records']} records for {run['rows']} events")
    return [sorted(r, key=lambda run: run["seconds"])[(len(r) - 1) // 2] for r in runs.values()]


def table(given):
    results = median_runs(given)
    base = {r["name"]: r["rows"] / r["seconds"] for r in results}
    lines = [("program", "events/s", "x echo", "x python", "first s", "last s", "own CPU us/event", "broker us/event", "others' CPU")]
    for result in results:
        stages = [(result["name"], result)]
        if "at_rest" in result:
            stages.append((result["name"] + ", all stages at rest", result["at_rest"]))
        for name, measured in stages:
            rate = result["rows"] / measured["seconds"]
            ratios = [f"{rate / base[peer]:.2f}" if peer in base else "" for peer in ("echo", "python")]
            times = [f"{measured[key]:.1f}" for key in ("first", "seconds")]
            spent = [f"{measured[key] / result['rows'] * 1e6:.1f}" for key in ("cpu", "broker_cpu")]
            lines.append((name, f"{rate:,.0f}", *ratios, *times, *spent, f"{measured['others']:.0%}"))
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join([line[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(line[1:], widths[1:])]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["run", "table"])
    for option in ("--brokers", "--topic", "--name", "--work"):
        parser.add_argument(option)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--broker-pid", type=int)
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    given = parser.parse_args(sys.argv[1:end])
    given.command = sys.argv[end + 1:]
    {"run": run, "table": table}[given.what](given)


main()

"""The bench's data, the same on every run: a training file with a LightGBM model of it, and a backlog
of events and labels in Kafka. Event: id, time, one category, 9 numbers; about 175 bytes of JSON."""

import argparse
import json
import os

import lightgbm
import numpy
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 4
NUMBERS = [f"n{i}" for i in range(1, 10)]
CATEGORIES = [f"class_{i:02}" for i in range(20)]
BEGIN_MS = 1_767_225_600_000  # 2026-01-01
DAY_MS = 86_400_000
TRAINING_ROWS, TRAINING_DAYS = 50_000, 10
BACKLOG_DAYS = 5
LABEL_DELAY_MS = (7_200_000, 9_000_000)  # disorder stays within windows.lateness


class Rows:
    """Columns of `count` events spread evenly over `days`."""

    def __init__(self, seed, count, begin_ms, days, prefix):
        random = numpy.random.default_rng(seed)
        self.ids = [f"{prefix}{i:08}" for i in range(count)]
        self.times = begin_ms + numpy.arange(count) * (days * DAY_MS) // count
        self.numbers = random.normal(size=(count, 9)).round(4)
        self.codes = random.integers(len(CATEGORIES), size=count)
        x = self.numbers
        logit = x[:, 0] + x[:, 1] * x[:, 2] - abs(x[:, 3]) + 0.5 * numpy.sin(3 * x[:, 4]) + (self.codes % 5) / 3
        self.labels = (random.random(count) < 1 / (1 + numpy.exp(-logit))).astype(int)
        self.label_times = self.times + random.integers(*LABEL_DELAY_MS, size=count)
        self.is_labelled = random.random(count) < 0.5

    def events(self):
        pattern = '{"id":"%s","time":%d,"category":"%s",' + ",".join(f'"{n}":%s' for n in NUMBERS) + "}"
        columns = zip(self.ids, self.times.tolist(), self.codes.tolist(), self.numbers.tolist())
        return (pattern % (i, time, CATEGORIES[code], *numbers) for i, time, code, numbers in columns)

    def label(self, row):
        return '{"id":"%s","label_time":%d,"label":%d}' % (self.ids[row], self.label_times[row], self.labels[row])


def train(out):
    rows = Rows(1, TRAINING_ROWS, BEGIN_MS, TRAINING_DAYS, "t")
    with open(f"{out}/train.jsonl", "w") as file:
        file.writelines(f"{line}\n" for line in rows.events())
    with open(f"{out}/train_labels.jsonl", "w") as file:
        file.writelines(f"{rows.label(row)}\n" for row in numpy.argsort(rows.label_times, kind="stable"))
    features = numpy.column_stack([rows.numbers, rows.codes])
    data = lightgbm.Dataset(features, rows.labels, categorical_feature=[9], params={"verbose": -1})
    parameters = {"objective": "binary", "num_leaves": 31, "learning_rate": 0.1, "num_threads": 1, "verbose": -1}
    os.makedirs(f"{out}/model")
    lightgbm.train(parameters, data, 100).save_model(f"{out}/model/model.txt")
    with open(f"{out}/model/features.json", "w") as file:
        json.dump({"numbers": NUMBERS, "categories": CATEGORIES}, file)


def produce(brokers, count):
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 50, "queue.buffering.max.messages": 1_000_000})

    def send(topic, partition, value, time):
        while True:
            try:
                return producer.produce(topic, value, partition=partition, timestamp=int(time))
            except BufferError:
                producer.poll(0.1)

    rows = Rows(2, count, BEGIN_MS + TRAINING_DAYS * DAY_MS, BACKLOG_DAYS, "e")
    size = 0
    for row, value in enumerate(rows.events()):
        size += len(value)
        send("events", row % PARTITIONS, value, rows.times[row])
    for row in numpy.argsort(rows.label_times, kind="stable").tolist():
        if rows.is_labelled[row]:
            send("labels", row % PARTITIONS, rows.label(row), rows.label_times[row])
    producer.flush()
    print(f"{count} events of {size / count:.0f} bytes, {rows.is_labelled.sum()} labels")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--topics", nargs="*", default=[], help="of the programs that create none themselves")
    given = parser.parse_args()
    topics = ["events", "labels", *given.topics]
    kept = {"retention.ms": "-1"}
    admin = AdminClient({"bootstrap.servers": given.brokers})
    for done in admin.create_topics([NewTopic(t, PARTITIONS, 1, config=kept) for t in topics]).values():
        done.result()
    train(given.out)
    produce(given.brokers, given.rows)


main()

"""A plain program that scores a stream, written as one would without Vigie: consume in batches, orjson,
numpy, LightGBM, produce. At least once. No labels, no windows, no archive, no swap, no watch on anything.
Usage: lightgbm_stream.py BROKERS EVENTS_TOPIC OUTPUT_TOPIC MODEL_FOLDER"""

import sys
import time
from operator import itemgetter

import lightgbm
import numpy
import orjson
from confluent_kafka import Consumer, KafkaError, Producer

BATCH = 5000
COMMIT_SECONDS = 1.0

brokers, events_topic, output_topic, model = sys.argv[1:]
booster = lightgbm.Booster(model_file=f"{model}/model.txt")
with open(f"{model}/features.json", "rb") as file:
    features = orjson.loads(file.read())
numbers = itemgetter(*features["numbers"])
codes = {category: code for code, category in enumerate(features["categories"])}
width = len(features["numbers"])

consumer = Consumer({
    "bootstrap.servers": brokers,
    "group.id": output_topic,
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
})
consumer.subscribe([events_topic])


def failed(error, _message):
    sys.exit(f"not delivered: {error}")


producer = Producer({
    "bootstrap.servers": brokers,
    "queue.buffering.max.messages": 500_000,
    "delivery.report.only.error": True,
    "on_delivery": failed,
})


def produce(message, value):
    while True:
        try:
            return producer.produce(output_topic, value, partition=message.partition())
        except BufferError:
            producer.poll(0.01)


committed, is_dirty = time.monotonic(), False
while True:
    messages = consumer.consume(BATCH, timeout=0.1)
    for message in messages:
        if message.error() and message.error().code() != KafkaError._PARTITION_EOF:
            sys.exit(str(message.error()))
    if messages:
        events = [orjson.loads(message.value()) for message in messages]
        matrix = numpy.empty((len(events), width + 1))
        matrix[:, :width] = [numbers(event) for event in events]
        matrix[:, width] = [codes.get(event["category"], -1) for event in events]
        for message, event, probability in zip(messages, events, booster.predict(matrix).tolist()):
            value = '{"event_id":"%s","event_time":%d,"prediction":"%d","probability":%.6f,"version":"1"}' % (
                event["id"], event["time"], probability >= 0.5, probability)
            produce(message, value)
        producer.poll(0)
        is_dirty = True
    if is_dirty and time.monotonic() - committed >= COMMIT_SECONDS:
        producer.flush()
        consumer.commit(asynchronous=True)
        committed, is_dirty = time.monotonic(), False

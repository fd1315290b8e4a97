"""The worker: a Faust app whose events are batches of shards.

    BatchSource ──> transport ──> stream ──> agent: await shards.process(batch)
    (log_source)    (one event = one batch)         step, publish, commit

``process.py`` is the process around it, ``worker.py`` its life, ``app.py`` the Faust app, ``transport.py`` and
``stream.py`` what Faust is given in place of Kafka, ``refusals.py`` what of Faust must not be used here and why,
``shards.py`` what the worker owns, ``log_source.py`` where batches come from.
"""

"""KCL's MultiLangDaemon, from our settings to an orderly end; ADR 18 has the decisions.

    supervisor (this process) ──> MultiLangDaemon (Java), one for each stage ──> a child for each shard (Python)
        │ health, one log              │ leases, balancing, resharding, fan-out         │ the worker: one shard
        ├──────────── status files <───┴────────────────────────────────────────────────┤
        └──> fork server, which has imported everything already ──────── forks ─────────┘

``java.py`` finds what is needed, ``properties.py`` says what KCL is told and why, ``leases.py`` gives a new application
its leases, ``daemon.py`` is one Java process, ``supervisor.py`` keeps them running, ``lines.py`` makes one log of what
all of them say, ``shard_status.py`` is what the children tell of themselves.  ``launcher.py`` is what KCL starts for a
shard, ``fork_server.py`` what forks the shard's process, ``fork_server_process.py`` keeps that running.
"""

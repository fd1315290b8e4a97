"""The whole product under a seeded scheduler, a virtual clock and faulty ports: every failure is a seed.

    faults       what can go wrong, and how often, drawn from the seed
    log, ports   the log, the stores and the snapshots, in memory, going wrong
    owner        a process that takes itself for the owner of a shard
    fleet        all of them, and who takes over from whom
    edges        clients, participants, the central bank and operators, as far as money can tell
    happenings   what goes wrong between two moves
    world        everything together, and whose turn it is
    simulate     runs a seed, has it audited, and says what came of it

What runs inside is the real shard runtime, the real publisher, restorer and agents, on the real topology.
"""

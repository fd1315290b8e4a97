"""Says whether money moved exactly once, from the recorded streams and what clients and banks know: nothing else.

A plain, slow reader and ledger.  They share the envelope's format, the events and the hash of a key with the product,
and no code with its engine's watermarks or with its agents: what those get wrong must not be wrong here too.

    reading        a stream as whoever reads it should take it in
    participants   who takes part, and whose account settles
    payments       every order has one ending, and one that it may have                      N, S
    ledger         settlement accounts, posting by posting: caps, cycles, deadlines          M
    order          a key's outputs are in the order of its inputs                            O
    replay         the streams read again from nothing give the live heads and states        D, A

R and B, and that nothing forks while the world runs, are held where it runs.
"""

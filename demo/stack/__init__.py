"""The same system on Kinesis, as in production but for AWS: emulators, KCL's daemons, and the edges, all on loopback.

``emulators`` are the services instead of AWS's, ``site`` is where a run of the demo takes place on them, ``needed``
says what of all this is not installed.
"""

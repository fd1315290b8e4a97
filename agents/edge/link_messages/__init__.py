"""What the clearing and its participants say to each other, as messages of ISO 20022.

A payment is named by its instructing agent and that agent's transaction id.  On the wire they are OrgnlTxId and, since
who sends a message about a payment is often another, OrgnlTxRef/DbtrAgt.  Who sends is GrpHdr/InstgAgt, which the
clearing leaves out; for whom it is, GrpHdr/InstdAgt.  How a payment ended is said with ClrSysRef, the clearing's own
reference: a sender that gives two orders one transaction id is told of each what became of it.
"""

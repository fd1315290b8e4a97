"""ISO 20022: messages read, validated and written, by tables of their structure.

document        bytes to an XML tree, and nothing that an attacker would like
messages        the messages in it, whatever is around them
walk, tables    what is wrong with a message, and its content; and by which structure
writing         content to bytes
external_codes  the code sets that the schemas leave out
"""

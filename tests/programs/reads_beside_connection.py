"""A program that backs up an SQLite database by reading the file while it has a transaction open.

    reads_beside_connection.py DATABASE COMMAND...      COMMAND runs in the middle of the transaction

Closing the file drops the connection's locks, so COMMAND takes the journal for one that a crash has left behind.
"""
import os
import sqlite3
import subprocess
import sys

database = sys.argv[1]
connection = sqlite3.connect(database, isolation_level=None)
# So little memory that the transaction reaches the file before it is committed.
connection.execute("PRAGMA cache_size = 5")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE account SET note = hex(randomblob(400)), amount = amount + 1")
descriptor = os.open(database, os.O_RDONLY)
while os.read(descriptor, 65536):
    pass
os.close(descriptor)
subprocess.run(sys.argv[2:])
try:
    connection.execute("COMMIT")
    print("committed")
except sqlite3.Error as error:
    print(error)

-- What a renewal writes, three times to its connection's row and once to the journal.

-- Lease and intent change no indexed column: with room on its page such an update writes no index (HOT). Pages fill up as they did
-- before; what is written from now on leaves room.
alter table connections set (fillfactor = 70);

-- An answer that has been applied goes with the transaction that applies it: what it held is in its connection's row, and one place less
-- to steal it from. What is left is what nobody has applied, so that an index for that alone finds nothing faster. (Replicas that still run the version before mark answers as applied; they go with the other old ones.)
delete from credential_journal where outcome = 'applied';
drop index credential_journal_open;

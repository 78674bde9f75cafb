-- The oldest schema whose programs can use this ledger as it is: a server that is led back to the version before goes on with it.
-- A migration that only adds what they need not know leaves it; any other one sets it to its own number.
CREATE TABLE readers (oldest INTEGER NOT NULL);
INSERT INTO readers VALUES (4);

-- Empties the part of the history that is over, if there is any; returns whether there was.
SELECT outtray.history_prune() AS was_used

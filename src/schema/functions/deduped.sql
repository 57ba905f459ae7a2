-- Takes the dedupe keys `names` of the topic `mine`, of each message its own or NULL, for messages
-- `ids`, and returns of each the id that has its key: its own, or that of an earlier message. Of
-- several with one key, the first gets it. Part of `send_contents`.
CREATE OR REPLACE FUNCTION outtray.deduped(mine text, names text[], ids uuid[], window_us bigint) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    wish record;
    holders uuid[];
    all_ids uuid[];
BEGIN
    SELECT array_agg(first.name ORDER BY first.name) AS names, array_agg(first.id ORDER BY first.name) AS ids
    INTO wish
    FROM (
        SELECT DISTINCT ON (asked.name COLLATE "C") asked.name COLLATE "C" AS name, asked.id
        FROM unnest(deduped.names, deduped.ids) WITH ORDINALITY AS asked (name, id, place)
        WHERE asked.name IS NOT NULL
        ORDER BY asked.name COLLATE "C", asked.place
    ) AS first;
    holders := outtray.take_dedupe_keys(
        array_fill(mine, ARRAY[cardinality(wish.names)]), wish.names, wish.ids,
        array_fill(window_us, ARRAY[cardinality(wish.names)])
    );
    SELECT array_agg(coalesce(held.id, asked.id) ORDER BY asked.place)
    INTO all_ids
    FROM unnest(deduped.names, deduped.ids) WITH ORDINALITY AS asked (name, id, place)
    LEFT JOIN unnest(wish.names, holders) AS held (name, id) ON held.name = asked.name COLLATE "C";
    RETURN all_ids;
END
$body$

-- Tells every listener of channel $1 the texts $2.
SELECT pg_notify($1::text, hint.text)
FROM unnest($2::text[]) AS hint (text)

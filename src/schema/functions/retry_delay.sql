-- Returns for how many microseconds a message waits whose attempt number `attempt` failed: after
-- what is set for its topic, or, where that is none that makes sense, 1 s, doubled each time, at
-- most 15 minutes. Spread by a tenth to either side, unless the setting says otherwise.
CREATE OR REPLACE FUNCTION outtray.retry_delay(backoff json, attempt integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    -- Thirty days in milliseconds: no retry waits longer.
    longest CONSTANT bigint := 2592000000;
    curve json;
    is_spread boolean := true;
    first_ms bigint;
    cap_ms bigint;
    factor double precision;
    delay_ms double precision;
BEGIN
    IF json_typeof(backoff) = 'object' AND json_typeof(backoff -> 'jitter') = 'boolean' THEN
        curve := backoff -> 'fixed';
        IF json_typeof(curve) = 'object' THEN
            delay_ms := outtray.whole_number(curve -> 'delay_ms', 0, longest);
        END IF;
        curve := backoff -> 'linear';
        IF json_typeof(curve) = 'object' THEN
            cap_ms := outtray.whole_number(curve -> 'cap_ms', 0, longest);
            first_ms := outtray.whole_number(curve -> 'step_ms', 0, longest);
            IF first_ms IS NOT NULL AND cap_ms IS NOT NULL THEN
                delay_ms := least(first_ms::float8 * attempt, cap_ms);
            END IF;
        END IF;
        curve := backoff -> 'exponential';
        IF json_typeof(curve) = 'object' THEN
            first_ms := outtray.whole_number(curve -> 'first_ms', 0, longest);
            cap_ms := outtray.whole_number(curve -> 'cap_ms', 0, longest);
            -- What a number of eight bytes can hold.
            IF json_typeof(curve -> 'factor') = 'number'
                AND (curve -> 'factor')::text ~ '^-?[0-9]{1,20}([.][0-9]{1,20})?([eE][+-]?[0-9]{1,2})?$'
            THEN
                factor := greatest((curve -> 'factor')::text::float8, 1);
            END IF;
        END IF;
        IF delay_ms IS NOT NULL OR first_ms IS NOT NULL AND cap_ms IS NOT NULL AND factor IS NOT NULL THEN
            is_spread := (backoff ->> 'jitter')::boolean;
        END IF;
    END IF;
    IF delay_ms IS NULL THEN
        IF first_ms IS NULL OR cap_ms IS NULL OR factor IS NULL THEN
            first_ms := 1000;
            cap_ms := 900000;
            factor := 2;
        END IF;
        -- By logarithms, which do not overflow.
        delay_ms := CASE
            WHEN first_ms = 0 THEN 0
            WHEN cap_ms <= first_ms THEN cap_ms
            WHEN (attempt - 1) * ln(factor) >= ln(cap_ms::float8 / first_ms) THEN cap_ms
            ELSE least(first_ms * power(factor, attempt - 1), cap_ms)
        END;
    END IF;
    IF is_spread THEN
        delay_ms := delay_ms * (0.9 + 0.2 * random());
    END IF;
    RETURN (delay_ms * 1000)::bigint;
END
$body$

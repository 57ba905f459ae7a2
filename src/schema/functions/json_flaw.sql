-- Returns what a receiver of this JSON could not read back; NULL if it can read all. As
-- `json_text::flaw` of the library, which a test compares it with.
CREATE OR REPLACE FUNCTION outtray.json_flaw(given text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
-- What a backslash is in a literal.
SET standard_conforming_strings = on
AS $body$
DECLARE
    found text;
    -- The text without its strings; and then its brackets alone.
    bare text;
    brackets text;
    part text[];
    exponent text;
    magnitude integer;
BEGIN
    IF strpos(given, '\u') > 0 THEN
        -- Without backslashes that stand for themselves, and pairs that are whole.
        found := substring(
            regexp_replace(given, '\\\\|\\u[dD][89abAB]..\\u[dD][c-fC-F]..', ' ', 'g')
            FROM '\\u(0000|[dD][89a-fA-F])'
        );
        IF found = '0000' THEN
            RETURN 'it has a NUL character (\u0000): send it as bytes';
        ELSIF found IS NOT NULL THEN
            RETURN 'it has half a surrogate pair';
        END IF;
    END IF;
    IF length(given) - length(translate(given, '[{', '')) > 127 THEN
        bare := regexp_replace(given, '"(?:[^"\\]|\\.)*"', '', 'g');
        brackets := translate(regexp_replace(bare, '[^][{}]', '', 'g'), '{}', '[]');
        -- Each round takes off the innermost ones.
        FOR depth IN 1 .. 127 LOOP
            EXIT WHEN brackets = '';
            brackets := replace(brackets, '[]', '');
        END LOOP;
        IF brackets <> '' THEN
            RETURN 'it is nested deeper than 127 levels';
        END IF;
    END IF;
    IF given ~ '[0-9][eE][+]?[0-9]|[0-9.]{200}' THEN
        bare := coalesce(bare, regexp_replace(given, '"(?:[^"\\]|\\.)*"', '', 'g'));
        FOR part IN
            -- What stands before the point, what stands behind it, and the exponent.
            SELECT regexp_matches(bare, '([0-9]+)(?:[.]([0-9]+))?(?:[eE]([+-]?[0-9]+))?', 'g')
        LOOP
            part[2] := coalesce(part[2], '');
            exponent := coalesce(ltrim(ltrim(part[3], '+-'), '0'), '');
            CONTINUE WHEN ltrim(part[1] || part[2], '0') = '' OR part[3] LIKE '-%' AND length(exponent) > 6;
            IF length(exponent) > 6 THEN
                RETURN 'it has a number that is too large';
            END IF;
            -- Below ten to this.
            magnitude := CASE WHEN part[1] = '0' THEN length(ltrim(part[2], '0')) - length(part[2]) ELSE length(part[1]) END
                + CASE WHEN part[3] LIKE '-%' THEN -1 ELSE 1 END * coalesce(nullif(exponent, ''), '0')::integer;
            -- The least that rounds to infinity.
            IF magnitude > 309
                OR magnitude = 309 AND ('0.' || ltrim(part[1] || part[2], '0'))::numeric >= 0.1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070963302864166928879109465555478519404026306574886715058206819089020007083836762738548458177115317644757302700698555713669596228429148198608349364752927190741684443655107043427115596995080930428801779041744977
            THEN
                RETURN 'it has a number that is too large';
            END IF;
        END LOOP;
    END IF;
    RETURN NULL;
END
$body$

-- Filters: which messages a receiver wants, by their headers.

-- Returns whether the headers of a message match a filter. `steps` is a program for a stack of
-- answers: "and", "or" and "not" replace the last one or two by one, and each other step adds the
-- answer of comparing the header of its name with its operand. PL/pgSQL, so that no answer depends
-- on how a statement is planned. No step fails: only what looks like a number is cast to one.
CREATE FUNCTION outtray.matches(
    headers json, steps text[], names text[], operands jsonb[]
) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    answers boolean[] := '{}';
    top integer := 0;
    step text;
    value text;
    answer boolean;
BEGIN
    IF headers IS NULL THEN
        headers := '{}';
    ELSIF json_typeof(headers) <> 'object' OR strpos(headers::text, E'\\u') > 0 AND regexp_replace(
        headers::text, E'\\\\\\\\|\\\\u[dD][89abAB]..\\\\u[dD][c-fC-F]..', '', 'g'
    ) ~ E'\\\\u(0000|[dD][89a-fA-F])' THEN
        -- Where one header has an escape that stands for no character, `->>` fails for all of
        -- them; and no receiver could read it.
        RETURN false;
    END IF;
    FOR at IN 1 .. pg_catalog.cardinality(steps) LOOP
        step := steps[at];
        IF step = 'in' THEN
            answer := operands[at] ? (headers ->> names[at]);
        ELSIF step = 'and' THEN
            top := top - 2;
            answer := answers[top + 1] AND answers[top + 2];
        ELSIF step = 'or' THEN
            top := top - 2;
            answer := answers[top + 1] OR answers[top + 2];
        ELSIF step = 'not' THEN
            top := top - 1;
            answer := NOT answers[top + 1];
        ELSIF step = 'exists' THEN
            answer := headers -> names[at] IS NOT NULL;
        ELSIF step = 'null' THEN
            answer := json_typeof(headers -> names[at]) = 'null';
        ELSE
            value := headers ->> names[at];
            answer := CASE
                WHEN step = 'prefix' THEN starts_with(value, operands[at] #>> '{}'::text[])
                -- Up to so many digits it is exact. As `is_number` in the library.
                WHEN length(value) <= 1000 AND value ~ '^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,4})?$' THEN CASE step
                    WHEN '==' THEN value::numeric = (operands[at] #>> '{}'::text[])::numeric
                    WHEN '<' THEN value::numeric < (operands[at] #>> '{}'::text[])::numeric
                    WHEN '<=' THEN value::numeric <= (operands[at] #>> '{}'::text[])::numeric
                    WHEN '>' THEN value::numeric > (operands[at] #>> '{}'::text[])::numeric
                    WHEN '>=' THEN value::numeric >= (operands[at] #>> '{}'::text[])::numeric
                END
            END;
        END IF;
        top := top + 1;
        answers[top] := coalesce(answer, false);
    END LOOP;
    RETURN coalesce(answers[1], true);
END
$$;
GRANT EXECUTE ON FUNCTION outtray.matches(json, text[], text[], jsonb[]) TO PUBLIC;

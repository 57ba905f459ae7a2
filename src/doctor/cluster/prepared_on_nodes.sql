-- Returns of each node how many transactions of this database were prepared there $1 milliseconds
-- ago or earlier, and for how many milliseconds the oldest has been, as two numbers; or what it
-- says instead.
SELECT
    coalesce(pg_dist_node.nodename || ':' || pg_dist_node.nodeport::text, asked.nodeid::text) AS node,
    coalesce(asked.result, ''::text) AS answer
FROM pg_catalog.run_command_on_all_nodes(format(
    'SELECT count(*)::text || '' '' || coalesce(max(extract(epoch FROM now() - prepared) * 1000)::bigint, 0)::text ' ||
    'FROM pg_catalog.pg_prepared_xacts ' ||
    'WHERE database = current_database() AND prepared <= now() - %s * interval ''1 ms''',
    $1::bigint
)) AS asked
LEFT JOIN pg_catalog.pg_dist_node ON pg_dist_node.nodeid = asked.nodeid
ORDER BY node

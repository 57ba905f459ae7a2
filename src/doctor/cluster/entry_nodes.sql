-- Returns by which nodes clients of this database come in that have the name of this application,
-- and how many; but for those that ask this.
SELECT
    coalesce(pg_dist_node.nodename || ':' || pg_dist_node.nodeport::text, client.nodeid::text) AS node,
    count(*) AS clients
FROM pg_catalog.citus_dist_stat_activity AS client
LEFT JOIN pg_catalog.pg_dist_node ON pg_dist_node.nodeid = client.nodeid
WHERE client.datname = current_database()
    AND NOT client.is_worker_query
    AND client.application_name = current_setting('application_name')
    AND strpos(client.query, 'citus_dist_stat_activity') = 0
GROUP BY pg_dist_node.nodename, pg_dist_node.nodeport, client.nodeid
ORDER BY node

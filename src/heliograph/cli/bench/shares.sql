SELECT owner, count(*) AS phones FROM leases GROUP BY owner

-- As whom the exporter is logged in; needs no right.
SELECT current_user AS role

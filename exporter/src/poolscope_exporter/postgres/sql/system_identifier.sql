-- The cluster's identity. Asked by itself, because a managed service may revoke the function.
SELECT system_identifier::text AS system_identifier FROM pg_control_system()

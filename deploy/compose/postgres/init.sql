-- Run once, by the image of PostgreSQL, on an empty volume: the shop's database, and two roles with
-- no more than they need. Passwords come from files, so that no log or process list has them.
\set ON_ERROR_STOP on
\set shop_password `cat /run/secrets/shop_password`
\set poolscope_password `cat /run/secrets/poolscope_password`

CREATE ROLE shop LOGIN PASSWORD :'shop_password';
CREATE DATABASE shop OWNER shop;
\connect shop
CREATE SCHEMA poolscope_demo AUTHORIZATION shop;

\ir /deploy/role.sql
ALTER ROLE poolscope PASSWORD :'poolscope_password';

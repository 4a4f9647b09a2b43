-- Make the shop's database and two roles with only the rights that they need. The image of PostgreSQL
-- runs this script once, on an empty volume. The passwords come from files, so no process list shows
-- them.
\set ON_ERROR_STOP on
\set shop_password `cat /run/secrets/shop_password`
\set poolscope_password `cat /run/secrets/poolscope_password`

CREATE ROLE shop LOGIN PASSWORD :'shop_password';
CREATE DATABASE shop OWNER shop;
\connect shop
CREATE SCHEMA poolscope_demo AUTHORIZATION shop;

\ir /deploy/role.sql
ALTER ROLE poolscope PASSWORD :'poolscope_password';

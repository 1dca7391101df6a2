"""HTTP/1.1 connections with nginx's limits: what is between the socket and the application."""

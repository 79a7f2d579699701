"""The commands of ``crm-pipeline`` that look after integrations; each module is one command or group."""

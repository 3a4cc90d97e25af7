{{/* Environment of the Job that migrates; takes root, database, folder, secret and keys. */}}
{{- define "context.migrateEnvironment" }}
{{ include "context.commonEnvironment" .root }}
- name: INTENT_OWNER_DATABASE_URL_FILE
  value: {{ .folder }}/{{ .database.keys.owner }}
{{- if .root.Values.migrate.provision }}
- name: INTENT_ADMIN_DATABASE_URL_FILE
  value: {{ .folder }}/{{ .database.keys.admin }}
{{- /* The roles get the passwords in their URLs. */}}
- name: INTENT_DATABASE_URL_FILE
  value: {{ include "context.secrets" .root }}/database/{{ .database.keys.service }}
{{- with .database.keys.query }}
- name: INTENT_QUERY_DATABASE_URL_FILE
  value: {{ include "context.secrets" $.root }}/database/{{ . }}
{{- end }}
{{- range $name := list "INTENT_SERVICE_CONNECTION_LIMIT" "INTENT_QUERY_CONNECTION_LIMIT" }}
{{- with get $.root.Values.settings $name }}
- name: {{ $name }}
  value: {{ include "context.text" . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- include "context.databaseTlsEnvironment" .root }}
{{- end }}
{{- define "context.migrateMounts" }}
- name: migration
  mountPath: {{ .folder }}
  readOnly: true
{{- if .root.Values.migrate.provision }}
- name: database
  mountPath: {{ include "context.secrets" .root }}/database
  readOnly: true
{{- end }}
{{- include "context.databaseTlsMount" .root }}
{{- end }}
{{- define "context.migrateVolumes" }}
- name: migration
  secret:
    secretName: {{ .secret }}
    defaultMode: 288
    items:
      {{- range .keys }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
{{- if .root.Values.migrate.provision }}
- name: database
  secret:
    secretName: {{ .database.existingSecret }}
    defaultMode: 288
    items:
      - key: {{ .database.keys.service }}
        path: {{ .database.keys.service }}
      {{- with .database.keys.query }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
{{- end }}
{{- include "context.databaseTlsVolume" .root }}
{{- end }}

{{- define "context.promoteEnvironment" -}}
{{ include "context.commonEnvironment" . }}
{{ include "context.temporalEnvironment" . }}
- name: TEMPORAL_WORKER_BUILD_ID
  value: {{ include "context.buildId" . | quote }}
- name: TEMPORAL_DEPLOYMENT_NAME
  value: {{ include "context.deploymentName" . | quote }}
{{- end -}}

/** Rules to begin with. They block nothing. */
export const example = `rules:
- id: uploads-to-drives
  description: Files go to services that share them
  action: alert            # or block: then the client sees a page that says why
  severity: 3              # 1 is the worst, 4 the least
  applications: [google-drive, dropbox]
  activities: [upload]     # browse, download, upload, post, login, api
- id: project-names
  description: The name of a project leaves the house
  action: alert
  urls: ["*"]              # or example.com, *.example.com, example.com/upload/*
  contains: [{field: body, text: Project Falcon}]
`;

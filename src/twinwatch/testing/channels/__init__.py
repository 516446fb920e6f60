"""What channels are tested with: receiving ends that behave as the documented ones and keep what they got.

``MailBox`` and the services (``FakeSlack``, ``FakeTwilio``, ``FakePagerDuty``, ``FakeWebhook``) listen on real ports in
the running loop, for stories with real processes. ``PaperPost`` needs no socket, for stories in virtual time.
``contract`` holds what every channel owes. Each module is imported by who needs it.
"""
